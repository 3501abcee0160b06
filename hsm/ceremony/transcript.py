# SPDX-License-Identifier: EUPL-1.2
"""The record of a key ceremony: who was there, on what software and which token, what was done, who holds what.

A transcript is written once and then signed by its participants, each with a key of their own; a signature covers
every byte of it. It holds nothing secret: of a key its name and check value, of a share the number of its envelope.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hsm.errors import HsmError

_CONTEXT: Final = b"coffre key ceremony v1\0"
"""Goes before what is signed, so that a signature means nothing anywhere else."""

_T = TypeVar("_T")
Action = Literal["confirm", "record-token", "generate-kek", "record-key", "test"]


class CeremonyError(HsmError):
    """The script, the transcript or a key cannot be used as it is; the message names it and the fix."""


class Participant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who is there and signs."""

    name: str
    role: str
    public_key: str
    """PEM of an Ed25519 or P-256 key; in a script the path of its file, beside the script."""


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that the script has somebody do."""

    by: str
    text: str = ""
    action: Action = "confirm"
    """`confirm` is done by hand and affirmed; the others are done by this program."""


class Custody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the script hands to somebody to keep."""

    custodian: str
    what: str


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a ceremony is to do, decided before it."""

    title: str
    place: str
    participant: list[Participant]
    step: list[Task]
    receipt: list[Custody] = []
    evidence: list[str] = []
    """Files whose digests are recorded: the configuration, the module, the installation medium."""


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file as it was."""

    path: str
    sha256: str


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was done, by whom and when."""

    at: str
    by: str
    text: str
    action: str
    found: dict[str, str] = {}
    """What the program saw: the token's serial number, the key's check value; for a confirmation the remark."""


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who took what away, and in which envelope."""

    at: str
    custodian: str
    what: str
    envelope: str


class Transcript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that happened, in order."""

    title: str
    place: str
    program: str
    """The version of this program."""
    started: str
    finished: str
    participants: list[Participant]
    evidence: list[Evidence]
    steps: list[Step]
    receipts: list[Receipt]
    complete: bool
    """Whether it came to the end of its script."""
    version: Literal[1] = 1


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One participant's signature over the context and the transcript's bytes."""

    name: str
    signature: bytes


class SignedTranscript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A transcript as it is kept in a file."""

    transcript: msgspec.Raw
    """The very bytes that are signed."""
    signatures: list[Signature] = []

    @property
    def message(self) -> bytes:
        """What each participant signs."""
        return _CONTEXT + bytes(self.transcript)

    def read(self) -> Transcript:
        """Return what the bytes say. Raises `CeremonyError`."""
        return _decoded(bytes(self.transcript), Transcript, "transcript")


def read_script(path: Path) -> Script:
    """Read a script (TOML) and the public keys that it names. Raises `CeremonyError`."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        script = msgspec.convert(values, Script)
    except OSError as error:
        raise CeremonyError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise CeremonyError(f"{path}: is not a script of a ceremony: {error}") from error
    people = [_with_key(person, path.parent) for person in script.participant]
    names = [person.name for person in people]
    keys = {person.public_key for person in people}
    wanted = [task.by for task in script.step] + [custody.custodian for custody in script.receipt]
    for wrong, problem in (
        (len(set(names)) < 2, "a ceremony needs at least two participants, for one could say anything"),
        (len(set(names)) != len(names), "two participants have the same name"),
        (len(keys) != len(people), "two participants have the same key, so one could sign for both"),
        (not script.step, "there is no step"),
        (not set(wanted) <= set(names), f"not a participant: {', '.join(sorted(set(wanted) - set(names)))}"),
    ):
        if wrong:
            raise CeremonyError(f"{path}: {problem}")
    return msgspec.structs.replace(script, participant=people)


def digests(paths: Iterable[Path]) -> list[Evidence]:
    """Take the digest of each file, in order of path. Raises `CeremonyError` for one that cannot be read."""
    found = []
    for path in sorted(set(paths)):
        try:
            with path.open("rb") as opened:
                found.append(Evidence(str(path), hashlib.file_digest(opened, "sha256").hexdigest()))
        except OSError as error:
            raise CeremonyError(f"{path}: cannot be read: {error.strerror}") from error
    return found


def tree_digest(folder: Path, suffix: str) -> Evidence:
    """Take one digest of all files below `folder` that end in `suffix`, by the list that `sha256sum` would print."""
    listed = [
        f"{evidence.sha256}  {Path(evidence.path).relative_to(folder)}\n"
        for evidence in digests(folder.rglob(f"*{suffix}"))
    ]
    whole = hashlib.sha256("".join(listed).encode()).hexdigest()
    return Evidence(f"{folder}/**{suffix}", whole)


def freeze(transcript: Transcript) -> SignedTranscript:
    """Fix the transcript's bytes, without a signature yet."""
    return SignedTranscript(msgspec.Raw(msgspec.json.encode(transcript, order="deterministic")))


def digest(signed: SignedTranscript) -> str:
    """What participants compare on their own screens before they sign: SHA-256 of the transcript's bytes."""
    return hashlib.sha256(bytes(signed.transcript)).hexdigest()


def sign(signed: SignedTranscript, name: str, private_key: bytes, password: bytes | None) -> SignedTranscript:
    """Add the signature of the participant `name`, whose key is `private_key` (PEM). Raises `CeremonyError`."""
    person = next((person for person in signed.read().participants if person.name == name), None)
    if person is None:
        raise CeremonyError(f"{name}: is not a participant of this ceremony")
    if any(signature.name == name for signature in signed.signatures):
        raise CeremonyError(f"{name}: has signed already")
    message = signed.message
    try:
        key = load_pem_private_key(private_key, password)
    except (ValueError, TypeError) as error:
        raise CeremonyError(f"{name}: the private key cannot be opened; check file and password") from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        made = key.sign(message)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        made = key.sign(message, ec.ECDSA(SHA256()))
    else:
        raise CeremonyError(f"{name}: the private key must be Ed25519 or P-256")
    new = Signature(name, made)
    if not holds(person, new, message):
        raise CeremonyError(f"{name}: this is not the private key of the public key in the transcript")
    return msgspec.structs.replace(signed, signatures=[*signed.signatures, new])


def load(path: Path) -> SignedTranscript:
    """Read a transcript's file. Raises `CeremonyError`.

    A file that says the same in other bytes is refused: with a field that comes twice, say, two programs could read
    two transcripts under one signature.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CeremonyError(f"{path}: cannot be read: {error.strerror}") from error
    signed = _decoded(content, SignedTranscript, str(path))
    canonical = freeze(signed.read())
    if dump(signed) != content or bytes(canonical.transcript) != bytes(signed.transcript):
        raise CeremonyError(f"{path}: was edited: this is not how a transcript is written; take the original")
    return signed


def dump(signed: SignedTranscript) -> bytes:
    """Return a transcript's file."""
    return msgspec.json.encode(signed) + b"\n"


def holds(person: Participant, signature: Signature, message: bytes) -> bool:
    """Whether it is this person's signature over `message`."""
    try:
        key = load_pem_public_key(person.public_key.encode())
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature.signature, message)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature.signature, message, ec.ECDSA(SHA256()))
        else:
            return False
    except (ValueError, InvalidSignature):
        return False
    return True


def _decoded(raw: bytes, kind: type[_T], what: str) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise CeremonyError(f"{what}: is not a transcript of a ceremony: {error}") from error


def _with_key(person: Participant, folder: Path) -> Participant:
    path = folder / person.public_key
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise CeremonyError(f"{person.name}: {path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CeremonyError(f"{person.name}: {path}: holds no public key in PEM") from error
    if not isinstance(key, ed25519.Ed25519PublicKey) and not (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        raise CeremonyError(f"{person.name}: {path}: must be an Ed25519 or P-256 key")
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return msgspec.structs.replace(person, public_key=pem)

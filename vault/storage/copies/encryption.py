# SPDX-License-Identifier: EUPL-1.2
"""Backups encrypted to recipients, in the age format (https://age-encryption.org/v1): any program that has it opens one.

Recipients are keys of age (`age1…`), keys with hybrid post-quantum encryption in a token (`age1tagpq1…`), and SSH keys.
Text comes as it is stored: sealed values, and the names of paths, which are what is hidden here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec
import pyrage
from pyrage import ssh, tagpq, x25519

from vault.storage.copies.atomic_file import UnfinishedFile, flush, partial, passing
from vault.storage.copies.snapshot import Progress
from vault.storage.copies.workplace import FOR_COPY, passing_place, require_room
from vault.storage.protocol import StorageFailure

_HEAD: Final = b"age-encryption.org/v1\n"
_MOST_KEYS: Final = 100
_LONGEST: Final = 64 << 10
"""Bytes of a file of recipients or identities."""
_CHUNK: Final = 1 << 20
_SSH: Final = "-----BEGIN OPENSSH PRIVATE KEY-----"
_IDENTITY: Final = "AGE-SECRET-KEY-1"


def is_encrypted(file: Path) -> bool:
    """Whether a file has the form of one that is encrypted."""
    with file.open("rb") as content:
        return content.read(len(_HEAD)) == _HEAD


class GivenBy(NamedTuple):
    """How it is called by what recipients are given; a failure names it."""

    single: str
    file: str


FLAGS: Final = GivenBy("-recipient", "-recipients-file")
STANZA: Final = GivenBy("recipients", "recipients_file")
"""Keys of a `snapshot` in the configuration."""


def recipients_of(texts: Sequence[str], file: str, given_by: GivenBy = FLAGS) -> Sequence[object]:
    """Return those that are given, and those in a file, one on each line. Raises `StorageFailure`."""
    return [recipient(where, text) for where, text in named_recipients(texts, file, given_by)]


def named_recipients(texts: Sequence[str], file: str, given_by: GivenBy = FLAGS) -> Sequence[tuple[str, str]]:
    """Return the same as text, each with where it was given. Raises `StorageFailure`."""
    named = [(f"{given_by.single} number {number}", text) for number, text in enumerate(texts, 1)]
    if file:
        lines = enumerate(_lines(Path(file), given_by.file), 1)
        named += [(f"{given_by.file}, line {number}", line) for number, line in lines if line]
    if len(named) > _MOST_KEYS:
        raise StorageFailure(f"there are {len(named)} recipients; give {_MOST_KEYS} at most")
    if file and not named:
        raise StorageFailure(f"{given_by.file}: no recipient is in it; put one on each line")
    return named


def recipient(where: str, text: str) -> object:
    """Return the key that a text is; `where` it was given is said where it is none. Raises `StorageFailure`."""
    kinds = {"age1tagpq1": tagpq.Recipient, "age1": x25519.Recipient}
    kind = next((kind for begin, kind in kinds.items() if text.startswith(begin)), ssh.Recipient)
    try:
        found: object = kind.from_str(text)
    except pyrage.RecipientError:
        raise StorageFailure(
            f"{where}: this is no recipient; give age1…, as age-keygen prints it, or a public SSH key (Ed25519 or RSA)"
        ) from None
    return found


def identities_in(file: str) -> Sequence[object]:
    """Return the private keys in a file: one of age on each line, or one of SSH. Raises `StorageFailure`."""
    lines = _lines(Path(file), "-identity")
    try:
        if lines and lines[0] == _SSH:
            return [ssh.Identity.from_buffer("\n".join([*lines, ""]).encode())]
        found = [x25519.Identity.from_str(line) for line in lines if line.startswith(_IDENTITY)]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise StorageFailure(
            "-identity: no private key is in it that can be used; give a file of age-keygen, or a private SSH key without passphrase"
        )
    return found


def _lines(file: Path, given_by: str) -> Sequence[str]:
    """Return the lines of a short file without comments."""
    try:
        with file.open("rb") as content:
            text = content.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise StorageFailure(f"{given_by}: {file} has more than {_LONGEST} bytes")
        lines = text.decode("utf-8").splitlines()
    except OSError as error:
        raise StorageFailure(f"{given_by}: {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise StorageFailure(f"{given_by}: {file} is no text") from None
    return ["" if line.startswith("#") else line.strip() for line in lines]


class NewCopy(msgspec.Struct, frozen=True):
    """A file that is filled, and what is left to do with it then."""

    made: UnfinishedFile
    finish: Callable[[], None]
    """Has the destination hold it, flushed. Raises `StorageFailure`."""


@contextmanager
def new_copy(
    destination: Path, recipients: Sequence[object], *, force: bool, progress: Progress
) -> Iterator[NewCopy]:
    """Give an empty file beside `destination`, which it becomes, or, with recipients, is encrypted to. Raises `StorageFailure`.

    What is not encrypted yet has a name while it is empty, and none as soon as something is in it: a process that is killed,
    and a power cut, leave nothing of it behind.
    """
    with partial(destination) as made:
        if not recipients:
            yield NewCopy(made, _placed(made, destination, force=force))
            return
        with passing(Path(f"{destination}.plain.partial")) as plain:

            def finish() -> None:
                encrypt(plain.handle, made, recipients, progress)
                made.place(destination, over=force)

            yield NewCopy(plain, finish)


def _placed(made: UnfinishedFile, destination: Path, *, force: bool) -> Callable[[], None]:
    def finish() -> None:
        flush(made.file)
        made.place(destination, over=force)

    return finish


def encrypt(plain: int, made: UnfinishedFile, recipients: Sequence[object], progress: Progress) -> None:
    """Encrypt what the handle of a file has to another one, flushed, read back and compared. Raises `StorageFailure`."""
    size = os.fstat(plain).st_size
    require_room(made.file.absolute().parent, {FOR_COPY: size})
    with os.fdopen(os.dup(plain), "rb") as source, os.fdopen(os.dup(made.handle), "wb") as target:
        source.seek(0)
        passage = _Passage(source, target, size, progress, "encrypting")
        passage.through(lambda: pyrage.encrypt_io(passage, passage, recipients))
    flush(made.file)
    if _digest(made.file) != passage.written.digest():
        raise StorageFailure(f"{made.file}: the disk does not hold what was written; name another one")


def encrypt_bytes(plain: bytes, recipients: Sequence[object]) -> bytes:
    """Return what is short enough for memory, encrypted. Raises `StorageFailure` for recipients that do not go together."""
    try:
        sealed: bytes = pyrage.encrypt(plain, list(recipients))
    except pyrage.EncryptError:
        raise StorageFailure(
            "these recipients cannot be used together: one with post-quantum encryption stands alone"
        ) from None
    return sealed


def decrypt_bytes(sealed: bytes, identities: Sequence[object]) -> bytes:
    """Return what `encrypt_bytes` was given. Raises `StorageFailure` where it does not open."""
    try:
        plain: bytes = pyrage.decrypt(sealed, list(identities))
    except pyrage.DecryptError:
        raise StorageFailure(
            "it does not open; it is damaged, or encrypted to another key than that of -identity"
        ) from None
    return plain


@contextmanager
def decrypted(file: Path, identity: str, progress: Progress) -> Iterator[Path]:
    """Have what is in a backup until the end of the block: itself, or what it opens to. Raises `StorageFailure`."""
    if not file.is_file() or not is_encrypted(file):
        if identity and file.is_file():
            raise StorageFailure(f"backup {file}: it is not encrypted; leave -identity out")
        yield file
        return
    if not identity:
        raise StorageFailure(f"backup {file}: it is encrypted; give the private key's file with -identity")
    identities = identities_in(identity)
    with passing_place() as folder:
        plain = folder / file.name
        require_room(plain.parent, {FOR_COPY: file.stat().st_size})
        with file.open("rb") as source, plain.open("xb") as target:
            passage = _Passage(source, target, file.stat().st_size, progress, "decrypting")
            try:
                passage.through(lambda: pyrage.decrypt_io(passage, passage, identities))
            except (pyrage.DecryptError, OSError):
                raise StorageFailure(
                    f"backup {file}: it does not open; it is damaged, or encrypted to another key than that of -identity"
                ) from None
        yield plain


class _Passage:
    """Reads from one file and writes to another for a program that keeps no exception of ours."""

    def __init__(self, source: BinaryIO, target: BinaryIO, size: int, progress: Progress, what: str) -> None:
        self._source, self._target = source, target
        self._size, self._progress, self._what = max(1, size), progress, what
        self._raised: list[BaseException] = []
        self.written: Final = hashlib.sha256()

    def through(self, work: Callable[[], object]) -> None:
        """Do the work, and raise what was raised within it."""
        try:
            work()
        except BaseException:
            if self._raised:
                raise self._raised[0] from None
            raise
        self._progress(self._what, 100)

    def read(self, size: int = -1) -> bytes:
        """Read, and tell how far it is."""
        try:
            self._progress(self._what, min(99, self._source.tell() * 100 // self._size))
            return self._source.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        except BaseException as error:
            self._raised.append(error)
            raise

    def write(self, data: bytes) -> int:
        """Write."""
        try:
            self.written.update(data)
            return self._target.write(data)
        except OSError as error:
            self._raised.append(
                StorageFailure(
                    f"{error.strerror}: the disk is full or refused; free some space and begin anew"
                )
            )
            raise
        except BaseException as error:
            self._raised.append(error)
            raise

    def flush(self) -> None:
        """Write what is still in memory."""
        self._target.flush()


def _digest(file: Path) -> bytes:
    """Return the SHA-256 of a whole file, 32 bytes. Raises `OSError`."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()

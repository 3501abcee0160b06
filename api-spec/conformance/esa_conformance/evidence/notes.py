# SPDX-License-Identifier: Apache-2.0
"""Signed notes (C2SP signed-note): checkpoints, and the keys that verify them. No signature is verified here."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from esa_conformance.decoding import json_of

_DASH: Final = "— "
ED25519: Final = 1
P256: Final = 2
_DER: Final = bytes.fromhex("302a300506032b6570032100")
"""What stands before 32 bytes of Ed25519 in a SubjectPublicKeyInfo (RFC 8410)."""


@dataclass(frozen=True)
class Signature:
    """Who signed, the first four bytes of the digest of the key, and what the key made of the text."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint (C2SP tlog-checkpoint) as its note says: nothing of it is verified."""

    text: bytes
    origin: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class Key:
    """A verifier key; `der` is its SubjectPublicKeyInfo."""

    name: str
    key_id: bytes
    kind: int
    der: bytes

    def signed(self, checkpoint: Checkpoint) -> list[bytes]:
        """The signatures that a checkpoint has by this key's name and id."""
        return [
            one.value for one in checkpoint.signatures if (one.name, one.key_id) == (self.name, self.key_id)
        ]


def checkpoints_of(text: str) -> list[Checkpoint]:
    """The checkpoints that stand one after the other in a text; none where anything in it is something else."""
    found: list[Checkpoint] = []
    rest = text.strip("\n").split("\n")
    while rest and rest != [""]:
        end = rest.index("") if "" in rest else len(rest)
        body, below = rest[:end], rest[end + 1 :]
        signed = 0
        while signed < len(below) and below[signed].startswith(_DASH):
            signed += 1
        made = _checkpoint(body, below[:signed])
        if made is None:
            return []
        found.append(made)
        rest = below[signed:]
        while rest and not rest[0]:
            rest = rest[1:]
    return found


def checkpoints_in(file: bytes) -> list[Checkpoint]:
    """The checkpoints in a file: notes one after the other, or lines of JSON that have each in `note`."""
    text = file.decode("utf-8", "replace")
    if not text.startswith("{"):
        return checkpoints_of(text)
    found: list[Checkpoint] = []
    for line in text.split("\n")[:-1]:
        try:
            members = json_of(line)
        except ValueError:
            return []
        found += checkpoints_of(str(members.get("note", "")) if isinstance(members, dict) else "")
    return found


def _checkpoint(body: list[str], signatures: list[str]) -> Checkpoint | None:
    try:
        origin, size, root, *_ = body
        made = tuple(_signature(line) for line in signatures)
        whole = Checkpoint(
            "".join(f"{line}\n" for line in body).encode(), origin, int(size), base64.b64decode(root, validate=True), made
        )  # fmt: skip
    except ValueError:
        return None
    return whole if made and origin and whole.size >= 0 and len(whole.root) == 32 else None


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).rpartition(" ")
    data = base64.b64decode(encoded, validate=True)
    return Signature(name, data[:4], data[4:])


def key_of(text: str) -> Key | None:
    """A verifier key, `NAME+HASH+KEY`; None for what is none, or of a kind that this suite does not know."""
    name, _, rest = text.partition("+")
    hashed, _, encoded = rest.partition("+")
    try:
        key_id, data = bytes.fromhex(hashed), base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    kind, key = data[:1], data[1:]
    named = key if kind == bytes([P256]) else f"{name}\n".encode() + data
    if hashlib.sha256(named).digest()[:4] != key_id:
        return None
    if kind == bytes([ED25519]) and len(key) == 32:
        return Key(name, key_id, ED25519, _DER + key)
    return Key(name, key_id, P256, key) if kind == bytes([P256]) else None

# SPDX-License-Identifier: EUPL-1.2
"""Writes log folders as the server does, for tests of what reads them: segments, chains, checkpoints."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.note import Signer
from vault.log.format.note_key import KeyKind, Verifier
from vault.log.format.tree import EMPTY_ROOT, CompactRange, encode_hash, leaf_hash

SECOND: Final = 1_000_000_000
BEGAN: Final = 1_795_854_000 * SECOND
"""When the first log of a test begins."""
STEP: Final = SECOND // 100
"""The time between two records."""
LOG: Final = "01234567-0-1"
_NO_LEAF: Final = encode_hash(EMPTY_ROOT)
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))


def nine_digits(nanos: int) -> str:
    """A time as the log has it."""
    return f"{datetime.fromtimestamp(nanos // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{nanos % SECOND:09}Z"


def record(**members: Any) -> dict[str, Any]:
    """A record without its place in a log. Dots of names are written as two underscores."""
    return {
        "actor": {"id": "e-1", "type": "workload"},
        "client.address": "10.2.0.9",
        "event_name": "esa.kv.read",
        "outcome": "success",
        "phase": "outcome",
        "request.id": "r-1",
        "resource": {"id": "kv/payments/1", "type": "kv.secret"},
        "schema": "https://coffre.eu/schemas/log/v1",
        "tenant": "root",
        **{name.replace("__", "."): value for name, value in members.items()},
    }


class WrittenLog:
    """One log that a test writes."""

    def __init__(self, folder: Path, name: str = LOG, *, began: int = BEGAN) -> None:
        self.folder, self.name = folder / name, name
        self.now, self.segment = began, 0
        self.lines: list[bytes] = []
        self.tree = CompactRange()
        self._last = _NO_LEAF
        self._tenants: dict[str, tuple[int, str]] = {}
        self.origin = f"test/{name}"
        self.verifier = Verifier(self.origin, KeyKind.ED25519, _KEY.public_key().public_bytes_raw())

    @property
    def seq(self) -> int:
        """The number of the next record."""
        return len(self.lines)

    @property
    def leaves(self) -> list[bytes]:
        """The leaves of all records."""
        return [leaf_hash(line) for line in self.lines]

    @property
    def path(self) -> Path:
        """The open segment."""
        return self.folder / f"{self.segment:020}.jsonl"

    def line(self, members: Mapping[str, Any], *, after: int = STEP) -> bytes:
        """Make the line of the next record, which is to be written."""
        self.now += after
        tenant = members["tenant"]
        number, before = self._tenants.get(tenant, (-1, _NO_LEAF))
        text = nine_digits(self.now)
        line: bytes = _encode(
            {
                "timestamp": text,
                **members,
                "log": self.name,
                "observed_timestamp": text,
                "prev_hash": self._last,
                "seq": self.seq,
                "tenant_prev_hash": before,
                "tenant_seq": number + 1,
            }
        )
        leaf = leaf_hash(line)
        self.tree.append(leaf)
        self._last = encode_hash(leaf)
        self._tenants[tenant] = number + 1, self._last
        self.lines.append(line)
        return line

    def write(self, *records: Mapping[str, Any], after: int = STEP) -> None:
        """Append records to the open segment."""
        self.append(b"".join(self.line(one, after=after) + b"\n" for one in records))

    def append(self, data: bytes) -> None:
        """Append bytes to the open segment."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.write(file, data)
        os.close(file)

    def next_segment(self) -> None:
        """Begin the next segment, and store where that is, as a writer does."""
        self.segment = self.seq
        self.append(b"")
        self.path.with_suffix(".state").touch()

    def sign(self) -> bytes:
        """Sign a checkpoint, and return the note."""
        signer = Signer(self.verifier, _KEY.sign)
        note = sign_checkpoint(
            Checkpoint(origin=self.origin, size=self.tree.size, root=self.tree.root()), [signer]
        )
        with self.path.with_suffix(".checkpoints").open("ab") as file:
            file.write(_encode({"time": nine_digits(self.now), "note": note.decode()}) + b"\n")
        return note

    def leave_out(self, tenant: str, count: int) -> None:
        """Let a tenant's next record have a number as if it had so many more."""
        number, leaf = self._tenants[tenant]
        self._tenants[tenant] = number + count, leaf

    def digest(self, first: int, end: int) -> str:
        """The checksum of a segment."""
        return sha256(b"".join(line + b"\n" for line in self.lines[first:end])).hexdigest()

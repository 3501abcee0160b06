# SPDX-License-Identifier: EUPL-1.2
"""What a witness has seen: of each log the newest checkpoint that it cosigned, with its cosignature, in a file.

A checkpoint is on the disk before anybody gets its cosignature, so that no end of the process, nor of the machine, makes
the witness forget what it signed. A witness that forgot would sign what contradicts it: without its files it does not start.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from vault.log.format.checkpoint import BadCheckpoint, Checkpoint, open_checkpoint
from vault.log.format.files import replace_durably
from vault.log.format.note import MOST_BYTES, BadNote, UnknownSigner
from vault.log.format.note_key import BadSignature, Verifier

MOST_LOGS: Final = 4096
"""Logs that one witness remembers."""
_KEY: Final = "witness"
"""The file that says whose memory it is."""
_LOCK: Final = "lock"
_SEEN: Final = ".checkpoint"
_FRAUD: Final = ".fraud"


class UnfitMemory(Exception):
    """The folder has no memory of a witness, another one's, or a broken one; the message says which and what to do."""


class TooManyLogs(Exception):
    """There is no room for another log."""


class Memory:
    """The memory of one witness, which one process has at a time. `keep` is not to be called by two threads at once."""

    def __init__(self, folder: Path, lock: int, seen: dict[str, tuple[Checkpoint, bytes]], most: int) -> None:
        """Use `open_memory`."""
        self._folder, self._lock, self._most = folder, lock, most
        self._seen = seen

    def seen(self, origin: str) -> Checkpoint | None:
        """Return the newest checkpoint of a log that was cosigned."""
        found = self._seen.get(name_of(origin))
        return None if found is None else found[0]

    def note(self, name: str) -> bytes | None:
        """Return the note of that checkpoint, with the cosignature; `name` is as `name_of` has it."""
        found = self._seen.get(name)
        return None if found is None else found[1]

    def keep(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Remember a checkpoint, on the disk. Raises `OSError`, and then nothing has changed; `TooManyLogs`."""
        name = name_of(checkpoint.origin)
        if name not in self._seen and len(self._seen) >= self._most:
            raise TooManyLogs
        replace_durably(self._folder / (name + _SEEN), note)
        self._seen[name] = checkpoint, note

    def keep_fraud(self, origin: str, notes: bytes) -> None:
        """Keep two checkpoints of one size that disagree, once for each log: who signed them can't deny it. Raises `OSError`."""
        name = name_of(origin) + _FRAUD
        if not (self._folder / name).exists():
            replace_durably(self._folder / name, notes)

    @property
    def sizes(self) -> Mapping[str, int]:
        """By origin, how many records the newest checkpoint covers."""
        return {checkpoint.origin: checkpoint.size for checkpoint, _ in self._seen.values()}

    def close(self) -> None:
        """Let another process have them."""
        os.close(self._lock)


def name_of(origin: str) -> str:
    """Return what a log is called in addresses and files: the SHA-256 of its origin, in hexadecimal digits."""
    return sha256(origin.encode()).hexdigest()


def open_memory(folder: Path, key: Verifier, *, fresh: bool, most: int = MOST_LOGS) -> Memory:
    """Open the memory of the witness of this key; of a key that was just made, which is `fresh`, begin with none. There is room for `most` logs.

    Raises `UnfitMemory`, `OSError`.
    """
    if fresh:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not (folder / _KEY).exists():
        raise UnfitMemory(
            f"{folder} has not what this witness has seen: bring its files back, or make a new key; "
            "with this key it would sign what it can't vouch for"
        )
    lock = _lock(folder)
    try:
        _begin(folder, key) if fresh else _check_key(folder, key)
        return Memory(folder, lock, _read(folder, key), most)
    except BaseException:
        os.close(lock)
        raise


def _lock(folder: Path) -> int:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UnfitMemory(f"another process is the witness of {folder}") from None
    return lock


def _begin(folder: Path, key: Verifier) -> None:
    """Make a folder that of a new key. Raises `UnfitMemory` where one is there already."""
    if any(name.endswith(_SEEN) for name in os.listdir(folder)):
        raise UnfitMemory(f"{folder} has what another witness has seen: give a new key a folder of its own")
    replace_durably(folder / _KEY, key.vkey.encode() + b"\n")


def _check_key(folder: Path, key: Verifier) -> None:
    if (folder / _KEY).read_text(encoding="utf-8").strip() != key.vkey:
        raise UnfitMemory(f"{folder} has what another witness has seen")


def _read(folder: Path, key: Verifier) -> dict[str, tuple[Checkpoint, bytes]]:
    found = {}
    for path in sorted(folder.glob(f"*{_SEEN}")):
        with path.open("rb") as file:
            note = file.read(MOST_BYTES + 1)
        try:
            checkpoint = open_checkpoint(note, [key]).checkpoint
        except (BadNote, BadCheckpoint, BadSignature, UnknownSigner) as problem:
            raise UnfitMemory(f"{path} is not what this witness has written: {problem}") from None
        if path.name != name_of(checkpoint.origin) + _SEEN:
            raise UnfitMemory(f"{path} is of another log")
        found[name_of(checkpoint.origin)] = checkpoint, note
    return found

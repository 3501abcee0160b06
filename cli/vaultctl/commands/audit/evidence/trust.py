# SPDX-License-Identifier: EUPL-1.2
"""What whoever verifies believes, by flags: keys of servers and of witnesses, and checkpoints that were kept elsewhere."""

from __future__ import annotations

from vaultctl.body import read_file
from vaultctl.errors import CommandError, ExtraErrors, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vault.log.format.note_key import Verifier
    from vault.log.format.trust import Trust
    from vaultctl.invocation import Invocation


class OfflineErrors(ExtraErrors):
    """`with OfflineErrors():` turns a package that is not installed into the command's error."""

    extra = "audit"
    needed = ("vault", "msgspec", "cryptography")


def trust_of(invocation: Invocation) -> Trust:
    """The keys that -key and -witness give, and how many witnesses -quorum asks for. UsageError for what is none."""
    from vault.log.format.note_key import KeyKind
    from vault.log.format.trust import Trust

    keys = tuple(key for given in invocation.texts("key") for key in _keys(given, "key"))
    witnesses = tuple(key for given in invocation.texts("witness") for key in _keys(given, "witness"))
    if any(key.kind is KeyKind.COSIGNATURE for key in keys):
        raise UsageError("-key: this is the key of a witness; give it with -witness")
    if any(key.kind is not KeyKind.COSIGNATURE for key in witnesses):
        raise UsageError("-witness: this is no key of a witness")
    quorum = invocation.number("quorum") or 0
    if not 0 <= quorum <= len({key.public for key in witnesses}):
        raise UsageError("-quorum: must not be more than there are keys with -witness")
    return Trust(keys=keys, witnesses=witnesses, quorum=quorum)


def _keys(given: str, flag: str) -> list[Verifier]:
    """The keys of a text, or of the lines of a file; blank lines and those that begin with # are passed over."""
    from vault.log.format.note_key import BadKey, BadName, Verifier

    lines = [given] if "+" in given else read_file(given).splitlines()
    try:
        found = [Verifier.parse(line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    except (BadKey, BadName) as problem:
        raise UsageError(f"-{flag}: {problem}") from None
    if not found:
        raise UsageError(f"-{flag}: the file {given} has no key")
    return found


def held_checkpoints(invocation: Invocation) -> list[bytes]:
    """The signed notes in the files of -checkpoint: one note, or lines as those beside segments."""
    return [note for path in invocation.texts("checkpoint") for note in _notes(path)]


def _notes(path: str) -> list[bytes]:
    from vault.log.format.segment import read_checkpoints

    try:
        with open(path, "rb") as file:
            if file.read(1) != b"{":
                file.seek(0)
                return [file.read(_LONGEST_NOTE)]
            file.seek(0)
            found = [stored.note.encode() for stored in read_checkpoints(file)]
    except OSError as failure:
        raise CommandError(f"cannot read the file {path}: {failure.strerror}") from None
    if not found:
        raise CommandError(f"the file {path} has no checkpoint")
    return found


_LONGEST_NOTE = 1 << 20
"""Bytes of a file with one note that are read: what is longer is none."""

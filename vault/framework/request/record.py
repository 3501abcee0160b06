# SPDX-License-Identifier: EUPL-1.2
"""What the audit broker keeps of a call, and the batches in which records are written together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from vault.framework.errors import VaultError
from vault.values.times import Nanos

Leave = Callable[[VaultError | None], object]
"""Lets an answer go, or a refusal in its place."""


class RecordBatch(Protocol):
    """Records that no audit device has taken yet, and the answers that wait for them; `vault.repeated.audit_batch` makes them."""

    def then(self, leave: Leave) -> None:
        """Call `leave` once everything that is in the batch by now is written."""
        ...

    def flush(self) -> VaultError | None:
        """Write now, and let go what waited. Returns the refusal where no device took the records."""
        ...


_NOT_HELD: Final = Nanos(0)


class CallRecord(msgspec.Struct, eq=False):
    """What the audit broker keeps of a call between its request's record and its response's."""

    audited: bool = False
    """Whether the request was recorded already; it is recorded once, however often it starts over."""
    held: Nanos = _NOT_HELD
    """When the request came, where its record is written together with the response's; else 0."""
    batch: RecordBatch | None = None
    """The batch that holds the records; the answer waits for its write. None: answer at once."""
    settle: Callable[[], None] | None = None
    """Writes the records that wait for a commit, and raises where no device takes them. None: none waited."""
    shared: tuple[object, object, bytes] | None = None
    """What both records have in common, encoded already: for which device and decision, and the bytes."""
    receipt: bytes = b""
    """Where the outcome is in the log, as the answer says it (a Dictionary of RFC 9651); empty where none was recorded."""
    outcome: int = -1
    """The number of the call's last outcome in the log: another one, after a commit that failed, takes its place."""
    standing: bool = False
    """Whether that outcome may have come about: from when its commit, or what is done after it, begins, until that is
    known to have failed."""
    before: int = -1
    """The number of the outcome before that one."""
    sent: tuple[object, Mapping[object, bytes]] | None = None
    """Long data of the request, and what each device records of it, encoded already."""
    external_keys: Sequence[Mapping[str, str]] = ()
    """The external keys that were used, as `ExternalKey.describe` names them."""
    noted: Mapping[str, Mapping[str, object]] = {}
    """What engines and credentials add to the response's record, by name."""

    changed: Mapping[str, str] = {}
    """For the log, of a change of rights: digests of what was there, as `old`, and of what is, as `new` (NIS2 3.2)."""

    def __repr__(self) -> str:
        """Tell nothing of what it holds."""
        return "<CallRecord>"

    def keep(self) -> None:
        """Take it that the outcome has come about, if it might: whatever happens to the call from now on takes nothing back."""
        if self.standing:
            self.standing, self.outcome = False, -1

    def lose_outcome(self) -> None:
        """Forget the last outcome, which is not in the log after all: its number is another call's by now."""
        self.receipt, self.outcome = b"", self.before

    def flush(self) -> None:
        """Write what waits for the end of this turn of the event loop. Raises the refusal where no device takes it."""
        batch, self.batch = self.batch, None
        failure = None if batch is None else batch.flush()
        if failure is not None:
            raise failure

    def end_attempt(self) -> None:
        """Write what waits for a commit that will not come, before another attempt is made.

        The request is recorded once for all attempts: were that lost, nothing else would tell of it. Raises as `settle`.
        """
        self.standing = False
        self.shared = None  # what is decided alike may be another operation the next time
        settle, self.settle = self.settle, None
        if settle is not None:
            settle()

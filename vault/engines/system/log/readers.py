# SPDX-License-Identifier: EUPL-1.2
"""Who may read the log, what of it, and how the reader is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from vault.framework.call import ROOT, Call
from vault.framework.concurrency.places import Places
from vault.framework.errors import (
    Busy,
    Forbidden,
    Malformed,
    NotFound,
    Reason,
    Unavailable,
    VaultError,
)
from vault.log.reader.client import LogReader, LogReaderAway
from vault.log.reader.messages import Refused, Tenants
from vault.namespace.book import Namespaces

NO_LOG: Final = "no log is kept on this server: give it log { path = … } in its configuration"
_OWN: Final = "sys/log/"
_TAILS: Final = 128
"""Followers that wait for records at one time; the reader takes as many of one process."""
_SEARCHES: Final = 32
"""Searches and counts at one time: those that the reader does, eight, and some that wait for them."""


class LogReading:
    """What every route of the log begins with."""

    def __init__(self, reader: LogReader | None, namespaces: Namespaces, *, root_reads: bool) -> None:
        """`reader` is None where no log is kept; with `root_reads` the root policy lets read it too."""
        self._reader, self._namespaces, self._root_reads = reader, namespaces, root_reads
        self.tails: Final = Places(_TAILS)
        self.searches: Final = Places(_SEARCHES)

    def permit(self, call: Call) -> Tenants:
        """Return the namespaces whose records the caller may see, None for all. Raises `Forbidden`.

        The right to read the log is one of its own: only a rule that names it gives it, and no rule for more, nor the
        root policy, does so silently.
        """
        decision = call.decision
        if decision is None or not (self._root_reads if decision.root else _OWN in decision.rule):
            raise Forbidden(path=call.path, capability=call.operation, reason=Reason.LOG)
        where = call.namespace
        if where is ROOT:
            return None
        return (where.id, *(entry.id for entry in self._namespaces.below(where.path, deep=True)))

    def permit_all(self, call: Call) -> None:
        """Let only those go on who may see the whole log. Raises `Forbidden`."""
        if self.permit(call) is not None:
            raise Forbidden(path=call.path, capability=call.operation, reason=Reason.NAMESPACE)

    @contextmanager
    def going_on(self, call: Call, places: Places) -> Iterator[LogReader]:
        """Ask the log reader for what takes time, as `asking` does; tenants share the places for that. Raises `Busy` too."""
        with places.place(call.mount.uuid), self.asking() as reader:
            yield reader

    @contextmanager
    def asking(self) -> Iterator[LogReader]:
        """Ask the log reader, and put its refusals in our words. Raises `NotFound`, `Malformed`, `Busy`, `Unavailable`."""
        if self._reader is None:
            raise NotFound(NO_LOG)
        try:
            yield self._reader
        except LogReaderAway as away:
            raise Busy(str(away)) from away  # one is started again within a moment
        except Refused as refused:
            raise _KINDS[refused.refusal.kind](refused.refusal.text) from None


_KINDS: Final[Mapping[str, type[VaultError]]] = {
    "malformed": Malformed,
    "missing": NotFound,
    "purged": NotFound,
    "uncovered": NotFound,
    "damaged": Unavailable,
    "busy": Busy,
    "rebuilding": Busy,
    "failed": Unavailable,
}
"""By what the log reader says, what we say."""

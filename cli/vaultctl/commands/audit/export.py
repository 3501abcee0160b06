# SPDX-License-Identifier: EUPL-1.2
"""audit export: records as they are, or in the forms of others, from a server or from a copied log folder."""

from __future__ import annotations

from vaultctl.commands.audit.evidence.checkpoints import newest_note
from vaultctl.commands.audit.evidence.trust import OfflineErrors
from vaultctl.commands.audit.following import FollowedLog, ends_of, line_at
from vaultctl.commands.audit.marks import ExportState, OtherLog, signed_size
from vaultctl.commands.audit.pages import LARGEST_PAGE, client_of, damage_of, read_page
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, ApiError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from vault.log.format.segment import Segment
    from vaultctl.http.client import Client
    from vaultctl.invocation import Invocation

    Part = tuple[str, int, list[bytes]]
    """Records that follow each other: their log, the number of the last one, and their lines."""

_NATIVE = "native"
_FORMS = {"table": _NATIVE, "json": _NATIVE}
"""What a format that many commands have means here."""


def export(invocation: Invocation) -> int:
    """Print records, log by log, from where an earlier export ended up to what there is now."""
    if invocation.form == "yaml":
        raise UsageError("Invalid output format: use native, otlp, ocsf or ecs")
    form = _FORMS.get(invocation.form, invocation.form)
    state = ExportState(invocation.text("state"))
    state.begin_behind(invocation.texts("after"))
    exporting = _Source(invocation, state)
    source = exporting.folder() if invocation.text("folder") else exporting.server()
    for log, last, lines in source:
        _print(invocation, lines, form)
        invocation.stdout.flush()
        state.of(log).grow(last, lines)
        state.keep()
    places = state.places()
    if not state.kept and places:
        invocation.warn(f"Exported. To go on from here: -after={','.join(places)}")
    return EXIT_REMOTE if exporting.wrong else EXIT_OK


class _Source:
    """Where records come from, and whether any of them was missing."""

    def __init__(self, invocation: Invocation, state: ExportState) -> None:
        self._invocation, self._state = invocation, state
        self.wrong = False

    def server(self) -> Iterator[Part]:
        """Records by follow, up to those that there are now: reading leaves records too, which the next export has."""
        client = client_of(self._invocation)
        newest = read_page(client, {"limit": "1"})
        ends, tenant = ends_of(client, newest)
        for log in self._wanted(ends | newest.damaged):
            end = ends.get(log, -1)
            followed = self._begin(client, log, end, tenant=tenant, damaged=log in newest.damaged)
            while followed is not None and followed.after < end:
                lines, wrong = followed.page(most=min(LARGEST_PAGE, end - followed.after))
                self._warn(wrong)
                if not lines:
                    break
                yield log, followed.after, lines
            if log in newest.damaged:
                self._warn([damage_of(log, newest.damaged[log])])

    def _begin(
        self, client: Client, log: str, end: int, *, tenant: bool, damaged: bool
    ) -> FollowedLog | None:
        """Follow a log from where an earlier export ended, if it is still the same up to there.

        An index that ends before that is not waited for where the log is `damaged`, which is told of it in any case.
        """
        mark = self._state.of(log)
        if damaged and end < mark.last:
            return None
        try:
            mark.require(end, log, "the index")
            if self._state.kept and not (mark.lasts and end == mark.last):
                mark.size = signed_size(_newest_note(client, log))
                self._go_back(log, lambda number: line_at(client, log, number))
        except OtherLog as other:
            self._warn([f"{log}: {other}"])
            return None
        return FollowedLog(client, log, mark.last, tenant=tenant, last=mark.hash)

    def _go_back(self, log: str, read: Callable[[int], bytes | None]) -> None:
        """Go back to what is still as it was exported. Raises `OtherLog`."""
        told = self._state.of(log).go_back(read, log)
        if told:
            self._warn([f"{log}: {told}"])
            self._state.keep()

    def folder(self) -> Iterator[Part]:
        """Records of a copied log folder. What is not as it should be is for `audit verify` to say."""
        from vaultctl.commands.audit.evidence.copies import log_folder

        with OfflineErrors(), log_folder([self._invocation.text("folder")]) as folder:
            from vault.log.format.segment import list_logs

            for log in self._wanted([str(one) for one in list_logs(folder)]):
                yield from self._log(folder / log, log)

    def _log(self, folder: Path, log: str) -> Iterator[Part]:
        from vault.log.format.segment import BadSegment, list_segments

        segments, mark = list_segments(folder), self._state.of(log)
        mark.size = _signed_in(segments)
        try:
            if mark.hash and _line_in(segments, mark.last) == b"":
                mark.require(_end_of(segments), log, "the copy")
            self._go_back(log, lambda number: _line_in(segments, number))
        except OtherLog as other:
            self._warn([f"{log}: {other}"])
            return
        after = mark.last
        following = [*(one.first for one in segments[1:]), None]
        for segment, end in zip(segments, following, strict=True):
            if end is not None and end <= after + 1:
                continue
            seq, lines = segment.first, list[bytes]()
            try:
                for line in segment.lines():
                    if not line.endswith(b"\n"):
                        break  # as after a crash: it was never answered for
                    if seq > after:
                        lines.append(line[:-1])
                    seq += 1
                    if len(lines) == LARGEST_PAGE:
                        yield folder.name, seq - 1, lines
                        lines = []
            except BadSegment as failure:
                self._warn([f"{folder.name}: {failure}"])
            if lines:
                yield folder.name, seq - 1, lines

    def _wanted(self, logs: Iterable[str]) -> list[str]:
        """The logs that -log names, or all."""
        named = self._invocation.texts("log")
        unknown = sorted(set(named) - set(logs))
        if unknown:
            raise UsageError(f"-log: there is no log {unknown[0]}")
        return sorted(set(named) or logs)

    def _warn(self, wrong: Iterable[str]) -> None:
        for words in wrong:
            self.wrong = True
            self._invocation.warn(f"WARNING! {words}.")


def _newest_note(client: Client, log: str) -> str:
    """The newest checkpoint of a log; empty where there is none, or not for this reader."""
    try:
        return newest_note(client, log)
    except ApiError as refusal:
        if refusal.status >= 500:
            raise
        return ""


def _signed_in(segments: Sequence[Segment]) -> int:
    """How many records the newest checkpoint in a copy covers; -1 where there is none."""
    from vault.log.format.segment import BadSegment

    for segment in reversed(segments):
        try:
            sizes = [signed_size(stored.note) for stored in segment.checkpoints()]
        except BadSegment:
            continue
        if sizes:
            return sizes[-1]
    return -1


def _line_in(segments: Sequence[Segment], number: int) -> bytes | None:
    """One record of a copy: nothing where it is not there, None where its segment is gone or can't be read."""
    from vault.log.format.segment import BadSegment

    before = [segment for segment in segments if segment.first <= number]
    try:
        return before[-1].record(number) if before else None
    except LookupError:
        return b""
    except BadSegment:
        return None


def _end_of(segments: Sequence[Segment]) -> int:
    """The last record of a copy, as far as its last segment can be read."""
    from vault.log.format.segment import BadSegment

    end = segments[-1].first - 1
    try:
        for line in segments[-1].lines():
            end += line.endswith(b"\n")
    except BadSegment:
        pass  # the export tells it
    return end


def _print(invocation: Invocation, lines: list[bytes], form: str) -> None:
    if form == _NATIVE:
        for line in lines:
            invocation.emit(line.decode("utf-8", "backslashreplace"))
        return
    with OfflineErrors():
        from vault.log.export.forms import batch

        made = batch(lines, form)
    invocation.emit(made.decode().removesuffix("\n"))

# SPDX-License-Identifier: EUPL-1.2
"""audit export: records as they are, or in the forms of others, from a server or from a copied log folder."""

from __future__ import annotations

import os

from vaultctl.commands.audit.evidence.trust import OfflineErrors
from vaultctl.commands.audit.following import FollowedLog, ends_of
from vaultctl.commands.audit.pages import LARGEST_PAGE, client_of, damage_of, place_of, read_page
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.text.json import as_map, compact, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from vaultctl.commands.audit.following import Positions
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
    reached = _begin(invocation)
    exporting = _Source(invocation)
    source = exporting.folder(reached) if invocation.text("folder") else exporting.server(reached)
    for log, last, lines in source:
        _print(invocation, lines, form)
        invocation.stdout.flush()
        reached[log] = last
        _keep(invocation, reached)
    if not invocation.text("state") and reached:
        invocation.warn(f"Exported. To go on from here: -after={','.join(_places(reached))}")
    return EXIT_REMOTE if exporting.wrong else EXIT_OK


def _begin(invocation: Invocation) -> Positions:
    """By log the last record that was exported before: what -after says, and for others the file of -state."""
    found: Positions = {}
    path = invocation.text("state")
    try:
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                stored = as_map(parse(file.read())).items()
            found = {log: number for log, number in stored if isinstance(number, int)}
    except (OSError, ValueError):
        raise CommandError(f"cannot read the file {path}: it does not say where an export ended") from None
    return found | dict(map(place_of, invocation.texts("after")))


def _keep(invocation: Invocation, reached: Positions) -> None:
    """Write down how far it is, once what was exported is on its way."""
    path = invocation.text("state")
    if not path:
        return
    try:
        with open(
            os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(compact(dict(sorted(reached.items()))) + "\n")
        os.replace(f"{path}.new", path)
    except OSError as failure:
        raise CommandError(f"cannot write the file {path}: {failure.strerror}") from None


def _places(reached: Positions) -> Iterable[str]:
    return (f"{log}:{number}" for log, number in sorted(reached.items()))


class _Source:
    """Where records come from, and whether any of them was missing."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self.wrong = False

    def server(self, reached: Positions) -> Iterator[Part]:
        """Records by follow, up to those that there are now: reading leaves records too, which the next export has."""
        client = client_of(self._invocation)
        newest = read_page(client, {"limit": "1"})
        ends, tenant = ends_of(client, newest)
        for log in self._wanted(ends | newest.damaged):
            followed, end = FollowedLog(client, log, reached.get(log, -1), tenant=tenant), ends.get(log, -1)
            while followed.after < end:
                lines, wrong = followed.page(most=min(LARGEST_PAGE, end - followed.after))
                self._warn(wrong)
                if not lines:
                    break
                yield log, followed.after, lines
            if log in newest.damaged:
                self._warn([damage_of(log, newest.damaged[log])])

    def folder(self, reached: Positions) -> Iterator[Part]:
        """Records of a copied log folder. What is not as it should be is for `audit verify` to say."""
        from vaultctl.commands.audit.evidence.copies import log_folder

        with OfflineErrors(), log_folder([self._invocation.text("folder")]) as folder:
            from vault.log.format.segment import list_logs

            for log in self._wanted([str(one) for one in list_logs(folder)]):
                yield from self._log(folder / log, reached.get(log, -1))

    def _log(self, folder: Path, after: int) -> Iterator[Part]:
        from vault.log.format.segment import BadSegment, list_segments

        segments = list_segments(folder)
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


def _print(invocation: Invocation, lines: list[bytes], form: str) -> None:
    if form == _NATIVE:
        for line in lines:
            invocation.emit(line.decode("utf-8", "backslashreplace"))
        return
    with OfflineErrors():
        from vault.log.export.forms import batch

        made = batch(lines, form)
    invocation.emit(made.decode().removesuffix("\n"))

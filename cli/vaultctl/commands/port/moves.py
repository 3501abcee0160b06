# SPDX-License-Identifier: EUPL-1.2
"""port move and port verify: from one server to another, and whether both are equal."""

from __future__ import annotations

from pathlib import Path

from vaultctl.commands.operator.snapshot import ended_by_signals
from vaultctl.commands.port.archives import fillers, open_archive
from vaultctl.commands.port.ends import Ends, Progress, tell, threads
from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.port import compare, decisions, moving
from vaultctl.port.aside import Aside, Stage
from vaultctl.port.copying import Copier
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.report import KIND, Report
from vaultctl.port.kv.undeletion import Undeletion
from vaultctl.port.sink import ServerSink
from vaultctl.port.source import ServerSource
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.invocation import Invocation
    from vaultctl.port.archive.reader import ArchiveReader
    from vaultctl.port.ground.server import Server


_CONTENTS = (
    "that it opens and holds the entries that the manifest counts",
    "what its export could not read",
)
"""What of an archive only that one can verify who has its key."""


def move(invocation: Invocation) -> int:
    """Copy a server to another while it is used; the same command goes on where it was ended."""
    with Ends(invocation) as ends:
        server, usual = ends.source(), ends.usual()
        server.check_clock()
        usual.check_clock()
        if server.place.startswith(usual.place) or usual.place.startswith(server.place):
            raise CommandError("the source and the destination are one, or one is within the other")
        report = Report()
        report.facts.update({"source": server.label, "destination": usual.label})
        journal = _journal(invocation, server, usual)
        try:
            sink = ServerSink(
                usual, journal, replace=invocation.truth("replace"), fillers=fillers(invocation)
            )
            progress = Progress(invocation, "moved")
            copier = Copier(sink, journal, report, threads=threads(invocation), progress=progress)
            aside = Aside(server, journal)
            aside.enter(switch=invocation.truth("switch"), replace=invocation.truth("replace"))
            with ended_by_signals():
                moving.move(
                    server,
                    report,
                    copier,
                    aside,
                    undeletion=Undeletion(journal),
                    undelete=invocation.truth("undelete"),
                    switch=invocation.truth("switch"),
                )
        finally:
            journal.close()
    return tell(invocation, report, good=report.complete)


def take_back(invocation: Invocation) -> int:
    """Put the source's mounts back where they were before a switch-over. The destination is not asked: it may be gone."""
    with Ends(invocation) as ends:
        server = ends.source()
        journal = Journal(_file(invocation), {"kind": "move", "source": server.identity}, begin=False)
        try:
            aside = Aside(server, journal)
            done = aside.take_back()
            stage = aside.stage
            source = ServerSource(server, Report())
            with Undeletion(journal).settled(server, source.versioned):
                pass
        finally:
            journal.close()
    said = [f"Back at {name.text}" for name in done] or ["Nothing is set aside."]
    if stage is Stage.UNDONE:
        said.append("What clients wrote at the destination since the switch-over is there alone.")
    return invocation.succeed("\n".join(said))


def _journal(invocation: Invocation, source: Server, destination: Server) -> Journal:
    """The journal of a move between these two."""
    ends = {"kind": "move", "source": source.identity, "destination": destination.identity}
    return Journal(_file(invocation), ends)


def _file(invocation: Invocation) -> Path:
    """The journal's file. CommandError where none is named."""
    file = invocation.text("journal")
    if not file:
        raise CommandError(
            "-journal is needed: a file that says what is done, so that the same command goes on"
        )
    return Path(file)


def verify(invocation: Invocation) -> int:
    """Compare a server with the one that -from names, or with an archive; or an archive with its manifest."""
    report, number_of_triples = Report(), invocation.number("decisions")
    if number_of_triples is not None and number_of_triples < 0:
        raise CommandError("-decisions is a number from 0 on")
    if invocation.args and number_of_triples:
        raise CommandError("-decisions asks two servers: an archive decides nothing; give -from")
    if invocation.truth("offline") and not invocation.args:
        raise CommandError("-offline looks at an archive alone: name its folder")
    with Ends(invocation) as ends:
        if invocation.args:
            if invocation.text("from") or invocation.text("journal"):
                raise CommandError("name an archive, or a server with -from, not both")
            reader, signer = open_archive(invocation, Path(invocation.args[0]))
            report.facts.update({"archive": invocation.args[0], "signed by": signer})
            report.facts["made"] = reader.manifest.made
            if invocation.truth("offline"):
                return _tell_archive(invocation, reader, report)
            server = None
            delta = bool(reader.manifest.base)
            items, said, count = reader.items(), "archive", 1
        else:
            server, delta = ends.source(), False
            server.check_clock()
            report.facts["source"] = server.label
            items = ServerSource(server, report, aside=_set_aside(invocation, server)).items()
            said, count = "source", threads(invocation)
        key = compare.new_key()
        source = compare.gather(items, key, report, threads=count, progress=Progress(invocation, said))
        usual = ends.usual()
        usual.check_clock()
        report.facts["destination"] = usual.label
        destination = _destination(invocation, usual, key, report)
        if delta:
            destination = compare.within(destination, source)
        if number_of_triples and server is not None:
            report.facts["decisions"] = decisions.compare(
                server, usual, number=number_of_triples, seed=invocation.number("seed") or 0
            )
    report.facts["compared"] = compare.summary(source, destination)
    report.facts["differences"] = compare.differences(source, destination)
    other = as_map(report.facts.get("decisions")).get("different")
    return tell(invocation, report, good=report.complete and not report.facts["differences"] and not other)


def _destination(invocation: Invocation, server: Server, key: bytes, report: Report) -> compare.Side:
    """What the destination has; what it does not tell is in the report too."""
    there = Report()
    items = ServerSource(server, there).items()
    progress = Progress(invocation, "destination")
    found = compare.gather(items, key, there, threads=threads(invocation), progress=progress)
    report.leave_those(there, "at the destination")
    return found


def _set_aside(invocation: Invocation, server: Server) -> Mapping[tuple[str, str], str]:
    """Where the source's mounts are since a switch-over, if its journal is named."""
    if not invocation.text("journal"):
        return {}
    journal = Journal(_file(invocation), {"kind": "move", "source": server.identity}, begin=False)
    try:
        return Aside(server, journal).places
    finally:
        journal.close()


def _tell_archive(invocation: Invocation, reader: ArchiveReader, report: Report) -> int:
    """What an archive says of itself, and what of that was verified; exit code 2 where there is no key to verify the rest."""
    report.facts["archived entries"] = reader.manifest.counts
    seen = ["each part (by its digest in the manifest)"]
    unseen: list[str] = []
    (seen if invocation.text("signers") else unseen).append("who made it (by the manifest's signature)")
    if reader.opens:
        for item in reader.items():
            if item.name.kind == KIND and (entry := item.load()) is not None:
                report.take(entry.data)
        seen += _CONTENTS
    else:
        unseen += _CONTENTS
    report.facts["verified"] = seen
    report.facts["not verified"] = unseen
    code = tell(invocation, report, good=report.complete)
    if reader.opens:
        return code
    invocation.warn(
        "The archive is encrypted: what is in it was not verified. Give the private key's file with -identity."
    )
    return EXIT_REMOTE

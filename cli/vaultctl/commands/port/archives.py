# SPDX-License-Identifier: EUPL-1.2
"""port export and port import: by an archive that lies between."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vaultctl.commands.operator.snapshot import ended_by_signals
from vaultctl.commands.port.ends import Ends, Progress, tell, threads
from vaultctl.errors import CommandError
from vaultctl.port.archive.manifest import NAME, read_manifest
from vaultctl.port.archive.reader import ArchiveReader
from vaultctl.port.archive.sealing import identities, recipients
from vaultctl.port.archive.signature import check
from vaultctl.port.archive.writer import ArchiveWriter
from vaultctl.port.copying import Copier
from vaultctl.port.ground.entry import Entry, Item, Name
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.report import KIND, Report
from vaultctl.port.kv.undeletion import Undeletion
from vaultctl.port.sink import ServerSink
from vaultctl.port.source import ServerSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vaultctl.invocation import Invocation

JOURNAL = "export.journal"
_FILLERS = 1000


def export(invocation: Invocation) -> int:
    """Read a server into an archive; the same command goes on where it was ended."""
    folder = Path(invocation.args[0])
    to = _recipients(invocation)
    if not invocation.text("sign-key") and not invocation.truth("unsigned"):
        raise CommandError("nobody could tell who made the archive: give -sign-key, or say -unsigned")
    with Ends(invocation) as ends:
        server = ends.usual()
        base = _begin(folder, invocation.text("since"))
        report = Report()
        report.facts["source"] = server.label
        journal = Journal(folder / JOURNAL, {"source": server.identity})
        try:
            if (folder / NAME).exists():
                raise CommandError(
                    f"{folder}: the archive is complete; name another folder, or a delta with -since"
                )
            writer = ArchiveWriter(folder, journal, to)
            undeletion = Undeletion(journal)
            undelete = undeletion if invocation.truth("undelete") else None
            source = ServerSource(server, report, undelete=undelete)
            copier = Copier(
                writer, journal, report, threads=threads(invocation), progress=Progress(invocation, "read")
            )
            with ended_by_signals(), undeletion.settled(server, source.versioned):
                copier.run(source.items())
            name = Name(KIND, "", "")
            writer.put(Item(name, "", lambda: None), Entry(name, report.document()))
            about = {
                "version": str(server.about.get("version") or ""),
                "identity": server.identity,
            }
            manifest = writer.finish(about, base=base, sign_key=invocation.text("sign-key"))
        finally:
            journal.close()
    report.facts["archive"] = str(folder)
    report.facts["archived entries"] = sum(manifest.counts.values())
    return tell(invocation, report, good=True)


def import_(invocation: Invocation) -> int:
    """Write what an archive holds to a server; the same command goes on where it was ended."""
    folder = Path(invocation.args[0])
    reader, signer = open_archive(invocation, folder)
    with Ends(invocation) as ends:
        server = ends.usual()
        report = Report()
        report.facts.update({"archive": str(folder), "signed by": signer, "destination": server.label})
        source = str(reader.manifest.source.get("identity"))
        place = hashlib.sha256(server.identity.encode()).hexdigest()[:8]
        # Beside the archive: what is in it was made by others, and a journal says what may be overwritten.
        file = invocation.text("journal") or f"{folder.resolve()}.import-{place}.journal"
        journal = Journal(Path(file), {"source": source, "destination": server.identity})
        try:
            sink = ServerSink(
                server,
                journal,
                replace=invocation.truth("replace"),
                fillers=fillers(invocation),
            )
            progress = Progress(invocation, "written")
            Copier(sink, journal, report, threads=threads(invocation), progress=progress).run(
                _without_report(reader, report)
            )
        finally:
            journal.close()
    return tell(invocation, report, good=report.complete)


def _without_report(reader: ArchiveReader, report: Report) -> Iterator[Item]:
    """The entries to write; what the export could not read becomes part of the report."""
    for item in reader.items():
        if item.name.kind != KIND:
            yield item
        elif (entry := item.load()) is not None:
            report.take(entry.data)


def open_archive(invocation: Invocation, folder: Path) -> tuple[ArchiveReader, str]:
    """An archive, checked as far as that needs no private key, and who signed it."""
    signers = invocation.text("signers")
    if not signers and not invocation.truth("unsigned"):
        raise CommandError(
            "the archive may be anybody's: give -signers, a file of allowed signers, or say -unsigned"
        )
    signer = check(folder / NAME, signers) if signers else "not checked"
    keys = identities(invocation.text("identity")) if invocation.text("identity") else ()
    reader = ArchiveReader(folder, keys)
    reader.check()
    return reader, signer


def fillers(invocation: Invocation) -> int:
    """How many empty versions may be written to keep the numbers of one secret's others."""
    number = invocation.number("fillers")
    return _FILLERS if number is None else number


def _recipients(invocation: Invocation) -> list[object]:
    texts, file = invocation.texts("recipient"), invocation.text("recipients-file")
    if invocation.truth("plain"):
        if texts or file:
            raise CommandError("-plain encrypts to nobody: leave it out, or the recipients")
        return []
    if not texts and not file:
        raise CommandError(
            "every secret would lie on the disk in plain: give -recipient or -recipients-file, or say -plain"
        )
    return list(recipients(texts, file))


def _begin(folder: Path, since: str) -> str:
    """Make the folder, and bring what an earlier archive says was exported; the digest of that one's manifest."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror}") from None
    if not since:
        return ""
    earlier = Path(since)
    base = hashlib.sha256(read_manifest(earlier).encode()).hexdigest()
    if not (folder / JOURNAL).exists():
        Journal.copy_marks(earlier / JOURNAL, folder / JOURNAL)
    return base

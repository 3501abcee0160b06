# SPDX-License-Identifier: EUPL-1.2
"""port export and port import: by an archive that lies between."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

from vaultctl.commands.operator.snapshot import ended_by_signals
from vaultctl.commands.port.ends import Ends, Progress, tell, threads
from vaultctl.errors import CommandError
from vaultctl.port.archive.chain import Chain
from vaultctl.port.archive.manifest import NAME, manifest_bytes, manifest_of
from vaultctl.port.archive.reader import ArchiveReader
from vaultctl.port.archive.sealing import Recipients, identities, recipients
from vaultctl.port.archive.signature import Signer, check
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
    from collections.abc import Iterator, Mapping

    from vaultctl.invocation import Invocation

JOURNAL = "export.journal"
_FILLERS = 1000


def export(invocation: Invocation) -> int:
    """Read a server into an archive; the same command goes on where it was ended."""
    folder, to = Path(invocation.args[0]), _recipients(invocation)
    key = invocation.text("sign-key")
    if not key and not invocation.truth("unsigned"):
        raise CommandError("nobody could tell who made the archive: give -sign-key, or say -unsigned")
    with ExitStack() as opened:
        asks = not invocation.truth("non-interactive")
        sign = opened.enter_context(Signer(key, asks=asks)).sign if key else None
        ends = opened.enter_context(Ends(invocation))
        server = ends.usual()
        server.check_clock()
        report = Report()
        report.facts["source"] = server.label
        base = _base(invocation.text("since"))
        said = {"kind": "export", "source": server.identity, "base": base, "recipients": to.text}
        said["undelete"] = "yes" if invocation.truth("undelete") else "no"
        journal = _begin(folder, invocation.text("since"), said)
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
            manifest = writer.finish(about, base=base, sign=sign)
        finally:
            journal.close()
    report.facts["archive"] = str(folder)
    report.facts["archived entries"] = sum(manifest.counts.values())
    return tell(invocation, report, good=report.complete)


def import_(invocation: Invocation) -> int:
    """Write what an archive holds to a server; the same command goes on where it was ended."""
    folder = Path(invocation.args[0])
    reader, signer = open_archive(invocation, folder)
    with Ends(invocation) as ends:
        server = ends.usual()
        server.check_clock()
        report = Report()
        report.facts.update({"archive": str(folder), "signed by": signer, "destination": server.label})
        report.facts["made"] = reader.manifest.made
        source = str(reader.manifest.source.get("identity"))
        place = hashlib.sha256(server.identity.encode()).hexdigest()[:8]
        # Beside the archive: what is in it was made by others, and a journal says what may be overwritten.
        file = invocation.text("journal") or f"{folder.resolve()}.import-{place}.journal"
        journal = Journal(Path(file), {"kind": "import", "source": source, "destination": server.identity})
        try:
            chain = Chain(journal, reader.manifest)
            sink = ServerSink(
                server,
                journal,
                replace=invocation.truth("replace"),
                fillers=fillers(invocation),
            )
            progress = Progress(invocation, "written")
            Copier(sink, journal, report, threads=threads(invocation), progress=progress).run(
                _without_report(chain.ahead(reader.items()), report)
            )
            chain.finish()
        finally:
            journal.close()
    return tell(invocation, report, good=report.complete)


def _without_report(items: Iterator[Item], report: Report) -> Iterator[Item]:
    """The entries to write; what the export could not read becomes part of the report."""
    for item in items:
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
    manifest = manifest_bytes(folder)
    signer = check(manifest, folder, signers) if signers else "not checked"
    keys = identities(invocation.text("identity")) if invocation.text("identity") else ()
    reader = ArchiveReader(folder, manifest, keys)
    reader.check()
    return reader, signer


def fillers(invocation: Invocation) -> int:
    """How many empty versions may be written to keep the numbers of one secret's others."""
    number = invocation.number("fillers")
    if number is not None and number < 0:
        raise CommandError("-fillers is a number from 0 on")
    return _FILLERS if number is None else number


def _recipients(invocation: Invocation) -> Recipients:
    texts, file = invocation.texts("recipient"), invocation.text("recipients-file")
    if invocation.truth("plain"):
        if texts or file:
            raise CommandError("-plain encrypts to nobody: leave it out, or the recipients")
        return Recipients()
    if not texts and not file:
        raise CommandError(
            "every secret would lie on the disk in plain: give -recipient or -recipients-file, or say -plain"
        )
    return recipients(texts, file)


def _base(since: str) -> str:
    """The digest of an earlier archive's manifest; empty where there is none."""
    return manifest_of(manifest_bytes(Path(since)), Path(since)).digest if since else ""


def _begin(folder: Path, since: str, ends: Mapping[str, str]) -> Journal:
    """Make the folder, and its journal with what an earlier archive says was exported.

    CommandError where it was begun otherwise: an archive has one base, and is encrypted in one way.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror}") from None
    if since and not (folder / JOURNAL).exists():
        Journal.copy_marks(Path(since) / JOURNAL, folder / JOURNAL, ends)
    return Journal(folder / JOURNAL, ends)

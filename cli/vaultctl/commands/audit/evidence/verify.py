# SPDX-License-Identifier: EUPL-1.2
"""audit verify: whether a copied log is as it was written, by what is in it and by checkpoints that were kept elsewhere."""

from __future__ import annotations

from vaultctl.commands.audit.evidence.copies import log_folder
from vaultctl.commands.audit.evidence.proof import verify_proof
from vaultctl.commands.audit.evidence.trust import OfflineErrors, held_checkpoints, trust_of
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.text.terminal import on_one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from vault.log.format.finding import Finding
    from vault.log.format.verify import LogReport, Report
    from vaultctl.invocation import Invocation


def verify(invocation: Invocation) -> int:
    """Verify a copied log, or with -proof one record; exit code 2 if anything is not as it should be."""
    with OfflineErrors():
        if invocation.text("proof"):
            return verify_proof(invocation)
        if not invocation.args:
            raise UsageError("Not enough arguments (expected a folder or files, or -proof=FILE, got 0)")
        report = _report(invocation)
    if invocation.tabular:
        _tell(invocation, report)
    else:
        invocation.print_value(_plain(report))
    return EXIT_REMOTE if report.faults else EXIT_OK


def _report(invocation: Invocation) -> Report:
    from vault.log.format.verify import verify_folder

    trust, held = trust_of(invocation), held_checkpoints(invocation)
    progress = _Progress(invocation)
    with log_folder(invocation.args) as folder:
        try:
            report = verify_folder(folder, trust, held, progress)
        except OSError as failure:
            raise CommandError(f"cannot read {failure.filename}: {failure.strerror}") from None
        finally:
            progress.end()
    if not report.logs:
        raise UsageError(f"{invocation.args[0]} has no log")
    return report


class _Progress:
    """Tells on a terminal how far it is."""

    def __init__(self, invocation: Invocation) -> None:
        self._stream = invocation.stderr
        self._begun = False

    def __call__(self, log: str, records: int) -> None:
        """Say how many records of a log are verified."""
        if self._stream.isatty():
            self._begun = True
            self._stream.write(f"\r{log}: {records} records")
            self._stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._begun:
            self._stream.write("\n")


def _tell(invocation: Invocation, report: Report) -> None:
    from vaultctl.text.output import columns

    heads = ("Log", "Records", "Covered", "Signed", "Last record", "First bad record")
    invocation.say(columns([heads, *map(_row, report.logs)]))
    others = [finding for finding in report.findings if not finding.fault]
    for title, findings in (("Not as it should be", report.faults), ("What is known", others)):
        if findings:
            lines = "\n".join(f"  {on_one_line(str(finding))}" for finding in findings)
            invocation.say(f"\n{title}:\n{lines}")
    invocation.say(f"\n{_verdict(report)}")


def _row(log: LogReport) -> tuple[str, ...]:
    there = f"{log.first} to {log.size - 1}" if log.size > log.first else "none"
    bad = "none" if log.first_bad is None else str(log.first_bad)
    return (
        log.log,
        there,
        _first(log.covered),
        _first(log.signed),
        log.time[:19] + "Z" if log.time else "",
        bad,
    )


def _first(number: int) -> str:
    return f"0 to {number - 1}" if number else "none"


def _verdict(report: Report) -> str:
    faults = len(report.faults)
    if faults:
        return f"{faults} fault{'s' if faults > 1 else ''}: the log is not as it was written."
    return "No fault was found."


def _plain(report: Report) -> dict[str, object]:
    return {
        "good": not report.faults,
        "logs": [
            {
                "log": log.log,
                "first": log.first,
                "size": log.size,
                "covered": log.covered,
                "signed": log.signed,
                "time": log.time,
                "first_bad": log.first_bad,
                "findings": _findings(log.findings),
            }
            for log in report.logs
        ],
        "others": _findings(report.others),
    }


def _findings(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {
            "kind": str(finding.kind),
            "fault": finding.fault,
            "log": finding.log,
            "words": finding.words,
            "first": finding.first,
            "last": finding.last,
            "notes": list(finding.notes),
        }
        for finding in findings
    ]

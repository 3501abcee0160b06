# SPDX-License-Identifier: Apache-2.0
"""run: judge a server."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TextIO

from esa_conformance.commands.selection import selected
from esa_conformance.errors import EXIT_LEFT, EXIT_SAFETY, UsageError
from esa_conformance.manifest import CLASSES, Manifest, read_manifest
from esa_conformance.report.document import document, judged
from esa_conformance.report.junit import junit
from esa_conformance.report.page import page
from esa_conformance.report.signing import sign
from esa_conformance.report.summary import claimed, counted, in_order, notes
from esa_conformance.report.transcript import Transcript
from esa_conformance.requirements import with_needed
from esa_conformance.run.outcomes import Result
from esa_conformance.run.profiles import exit_code
from esa_conformance.run.session import Finished, Options, run


def judge(arguments: argparse.Namespace, environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Run the tests of a manifest; the exit code says whether the claim holds."""
    if arguments.sign_key and not arguments.report:
        raise UsageError("--sign-key: there is nothing to sign without --report")
    manifest = read_manifest(arguments.manifest, environ)
    tests = selected(arguments.only, arguments.profile)
    narrowed = bool(arguments.only or arguments.profile or arguments.read_only)
    options = Options(arguments.read_only, arguments.journal)
    transcript = None
    if arguments.transcript:
        transcript = Transcript(arguments.transcript, options.canary, _secrets(manifest))
        options = replace(options, observer=transcript.note)

    def show(line: str) -> None:
        out.write(f"{line}\n")
        out.flush()

    with options.interrupts.noticed():
        try:
            finished = run(manifest, tests, options, show=show, told=lambda result: show(_line(result)))
        finally:
            if transcript is not None:
                transcript.finish()
        made = document(manifest, finished, mode=_mode(arguments, manifest), narrowed=narrowed)
        _write(arguments, made)
    return _conclusion(finished, made, out, err)


def _secrets(manifest: Manifest) -> set[str]:
    return {*manifest.credentials.values(), *([manifest.seal_key] if manifest.seal_key else [])}


def _mode(arguments: argparse.Namespace, manifest: Manifest) -> str:
    """The strongest class of tests that was allowed."""
    allowed = {"read-only"} if arguments.read_only else manifest.allow
    return next(name for name in reversed(CLASSES) if name in allowed)


def _write(arguments: argparse.Namespace, made: Mapping[str, Any]) -> None:
    if arguments.junit:
        arguments.junit.write_text(junit(made), encoding="utf-8")
    if arguments.html:
        arguments.html.write_text(page([made]), encoding="utf-8")
    if arguments.report:
        arguments.report.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if arguments.sign_key:
            sign(arguments.report, arguments.sign_key)


def _line(result: Result) -> str:
    provisional = " (provisional)" if result.test.provisional else ""
    detail = f": {result.detail}" if result.detail else ""
    return f"{result.outcome:>16}  {result.test.requirements[0]}  {result.test.id}{provisional}{detail}"


def _conclusion(finished: Finished, made: Mapping[str, Any], out: TextIO, err: TextIO) -> int:
    for one in in_order(made):
        out.write(f"{one['name']} ({claimed(made, one['name'])}): {one['result']}; {counted(one)}\n")
        out.writelines(f"    {note}\n" for note in notes(made, one))
    if finished.stopped:
        err.write(f"stopped: {finished.stopped}\n")
    err.writelines(f"left behind: {entry.kind} {entry.name}\n" for entry in finished.left)
    if finished.stopped and not (finished.interrupted and finished.left):
        return EXIT_SAFETY
    if finished.left:
        return EXIT_LEFT
    claim = tuple(made["claim"])
    of_claim = [
        one for one in judged(finished.results, finished.told, claim) if one.name in with_needed(claim)
    ]
    return exit_code(finished.results, of_claim)

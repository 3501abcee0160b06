# SPDX-License-Identifier: Apache-2.0
"""cleanup: remove what a run has left that was ended before it could."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping
from typing import TextIO

from esa_conformance.binding.client import Client
from esa_conformance.errors import EXIT_HOLDS, EXIT_LEFT, UsageError
from esa_conformance.manifest import Manifest, read_manifest
from esa_conformance.run.cleanup import Cleaner
from esa_conformance.run.interlock import check, identify
from esa_conformance.run.journal import Entry, OldJournal, note_removed, read_journal
from esa_conformance.run.names import run_of
from esa_conformance.run.seal import unseal
from esa_conformance.run.session import connect
from esa_conformance.run.sweep import expired


def clean_up(arguments: argparse.Namespace, environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Remove what a journal names, or all whose end of life is past. Raises UsageError for another server's journal."""
    manifest = read_manifest(arguments.manifest, environ)
    old = read_journal(arguments.journal) if arguments.journal else None
    if old is not None and old.address != manifest.address:
        raise UsageError("the journal is of a run on another server than the manifest's")
    nobody = connect(manifest, read_only=False)
    _open_again(manifest, nobody, old)
    check(manifest, identify(nobody), writes=True)
    callers = {name: nobody.using(secret) for name, secret in manifest.credentials.items()}
    entries: Iterable[Entry] = old.entries if old is not None else expired(callers, time.time())
    by_run: dict[str, list[Entry]] = {}
    for entry in entries:
        by_run.setdefault(run_of(entry.name.rpartition("/")[2]) or run_of(entry.name), []).append(entry)
    left = [
        entry
        for run, of in by_run.items()
        for entry in Cleaner(run, nobody, callers, seal_key=manifest.seal_key).clean(of)
    ]
    if old is not None:
        note_removed(arguments.journal, (entry for entry in old.entries if entry not in left))
    out.write(f"removed: {sum(map(len, by_run.values())) - len(left)}\n")
    for entry in left:
        err.write(f"left behind: {entry.kind} {entry.name}\n")
    return EXIT_LEFT if left else EXIT_HOLDS


def _open_again(manifest: Manifest, nobody: Client, old: OldJournal | None) -> None:
    """Open the server if it is sealed, and was by this run: sealed it does not tell which it is."""
    if old is not None and any(entry.kind == "seal" for entry in old.entries):
        found = identify(nobody)
        if found.sealed:
            check(manifest, found, writes=True, opens=True)
            unseal(nobody, manifest.seal_key)

# SPDX-License-Identifier: Apache-2.0
"""plan: what a run would do, without asking the server anything."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TextIO

from esa_conformance.commands.selection import selected
from esa_conformance.errors import EXIT_HOLDS, EXIT_SAFETY
from esa_conformance.manifest import Manifest, read_manifest
from esa_conformance.run.credentials import WRAPPED_S


def plan(arguments: argparse.Namespace, environ: Mapping[str, str], out: TextIO, _err: TextIO) -> int:
    """Print where a run would go, which classes of requests it would send, and what it would make."""
    manifest = read_manifest(arguments.manifest, environ)
    tests = selected(arguments.only, arguments.profile)
    allow = {"read-only"} if arguments.read_only else manifest.allow
    compat = manifest.compat
    out.write(f"server: {manifest.address}, which must be {_expected(manifest.expect)}\n")
    out.write(f"secrets: below {compat.base}/{compat.mount}/data/{compat.prefix}esa-RUN-\n")
    out.writelines(_read_beside(manifest))
    counts = Counter(test.cls for test in tests)
    out.writelines(
        f"{cls}: {number} tests" + ("\n" if cls in allow else ", not allowed\n")
        for cls, number in counts.items()
    )
    if allow == {"read-only"}:
        out.write("requests: GET, HEAD and LIST, none with a body; nothing is made\n")
        return EXIT_HOLDS
    if manifest.environment == "production":
        out.write(
            "nothing is made: target.environment is production, so a run stops before its first write\n"
        )
        return EXIT_SAFETY
    out.write("requests: all verbs\n")
    admin = any("admin" in test.needs for test in tests) and "admin" in manifest.credentials
    if manifest.mode == "namespace":
        out.write("made: one namespace esa-RUN-1, and in it a mount, secrets, and what follows\n")
    out.write("made: secrets esa-RUN-NUMBER\n")
    if any(test.feature == "wrap" for test in tests):
        out.write(
            f"made: wrapped answers with secrets esa-RUN-NUMBER, which end after {WRAPPED_S} s at the latest\n"
        )
    if admin:
        out.write("made: policies, credentials, mounts, log-ins, limits and namespaces esa-RUN-NUMBER\n")
    if "disruptive" in allow and counts["disruptive"]:
        out.write("disruptive: the server is sealed and unsealed; every other client will notice\n")
    return EXIT_HOLDS


def _read_beside(manifest: Manifest) -> Iterator[str]:
    """What is read beside the API, and which program is started."""
    places = (*manifest.artefacts.records, *manifest.artefacts.checkpoints)
    if places:
        yield f"read beside it: {', '.join(places)}\n"
    if manifest.openssl:
        yield f"started: {manifest.openssl}, to verify signatures and to ask for TLS\n"


def _expected(expect: object) -> str:
    told = {name: value for name, value in vars(expect).items() if value}
    return ", ".join(f"{name} {value}" for name, value in told.items()) or "nothing in particular"

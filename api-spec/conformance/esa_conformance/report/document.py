# SPDX-License-Identifier: Apache-2.0
"""The report as a JSON document: the source of all other forms."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from esa_conformance import SPEC, __version__
from esa_conformance.manifest import Manifest
from esa_conformance.requirements import profiles, requirements, with_needed
from esa_conformance.run.outcomes import Outcome, Result
from esa_conformance.run.profiles import Profile, features, is_claimed, profile
from esa_conformance.run.session import Finished

SCHEMA: Final = "https://w3id.org/european-secrets-api/report/1"


def suite_sha256() -> str:
    """The digest of this suite's own files, however they were installed: names and contents, in order."""
    digest = hashlib.sha256()
    for name, file in suite_files():
        digest.update(f"{name}\n{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def suite_files() -> list[tuple[str, Traversable]]:
    """The suite's own files by name, in order."""
    return sorted(_files(resources.files("esa_conformance"), ""), key=lambda named: named[0])


def _files(folder: Traversable, before: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            found += _files(entry, f"{before}{entry.name}/")
        elif entry.name.endswith((".py", ".json")) or entry.name == "LICENSE":
            found.append((before + entry.name, entry))
    return found


def judged(results: Sequence[Result], told: frozenset[str], claim: tuple[str, ...]) -> list[Profile]:
    """Every profile of which a test ran or was left out, and all that a claim is to, whether there is a test or not."""
    found = features(results, told)
    claimed = with_needed(claim)
    return [
        profile(name, results, found)
        for name in profiles()
        if name in claimed or any(is_claimed(result.test, name) for result in results)
    ]


def document(manifest: Manifest, finished: Finished, *, mode: str, narrowed: bool) -> dict[str, Any]:
    """The report of a run."""
    started = datetime.fromtimestamp(finished.started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = manifest.implementation
    identity = finished.identity
    return {
        "schema": SCHEMA,
        "spec": SPEC,
        "suite": {"version": __version__, "sha256": suite_sha256()},
        "run": {
            "id": finished.run, "started": started, "seconds": round(finished.seconds, 1), "mode": mode,
            "network": finished.network, "narrowed": narrowed, "stopped": finished.stopped or None,
        },
        "implementation": {
            "organization": made.organization, "project": made.project, "url": made.url, "version": made.version,
            "contact": list(made.contact),
        },
        "target": {
            "product": identity.product or None, "version": identity.version or None,
            "cluster_id": identity.cluster_id or None, "discovery_sha256": identity.discovery_sha256 or None,
        },
        "claim": list(manifest.claim),
        "features": {
            one.name: {"told": one.told, "inferred": one.inferred, "claimed": one.claimed}
            for one in features(finished.results, finished.told)
        },
        "profiles": [profile_member(one) for one in judged(finished.results, finished.told, manifest.claim)],
        "tests": [_test(result) for result in finished.results],
        "cleanup": {"created": finished.created, "left": len(finished.left)},
        "config": {
            "bindings": {"compat": {"base": manifest.compat.base}}, "isolation": manifest.mode,
            "allow": sorted(manifest.allow), "manifest_sha256": manifest.sha256,
        },
    }  # fmt: skip


def profile_member(one: Profile) -> Mapping[str, Any]:
    """A profile as it stands in a report."""
    return {
        "name": one.name,
        "result": one.result,
        "core": {outcome.value: one.core[outcome] for outcome in Outcome},
        "provisional": one.provisional,
        "extended": {"supported": list(one.supported), "unsupported": list(one.unsupported)},
        "reasons": list(one.reasons),
        "not_counted": list(one.not_counted),
    }


def _test(result: Result) -> Mapping[str, Any]:
    test = result.test
    known = requirements()
    return {
        "id": test.id,
        "requirements": list(test.requirements),
        "rev": known[test.requirements[0]].rev,
        "feature": test.feature,
        "class": test.cls,
        "outcome": result.outcome.value,
        "provisional": test.provisional,
        "unexpected": result.unexpected,
        "evidence": test.evidence,
        "attempts": result.attempts,
        "ms": round(result.seconds * 1000),
        "requests": result.requests,
        "detail": result.detail or None,
    }

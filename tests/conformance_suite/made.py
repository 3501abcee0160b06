# SPDX-License-Identifier: EUPL-1.2
"""States, tests and results that tests of the runner and of reports begin with."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from esa_conformance.areas import all_tests
from esa_conformance.binding.client import Client
from esa_conformance.manifest import Compat, ExpectedFailure, Manifest, read_manifest
from esa_conformance.report.document import document
from esa_conformance.run.declare import Test
from esa_conformance.run.interlock import Identity
from esa_conformance.run.journal import Journal
from esa_conformance.run.outcomes import Outcome, Result
from esa_conformance.run.session import Finished
from esa_conformance.run.state import State
from esa_conformance.run.trial import Trial
from esa_conformance.wire.transport import Transport

RUN = "ffffffff0a0b0c"
_MANIFEST = """
spec = "1.0"
claim = ["kv-consume"]
[implementation]
organization = "Example SA"
project = "vault <1>"
url = "https://example.org"
version = "1.4.0"
[target]
address = "http://127.0.0.1:{port}"
expect = {{ cluster_id = "5f0c" }}
[credentials]
kv = "env:KV"
denied = "env:DENIED"
[limits]
rps = 5000
{more}
"""


def manifest(
    folder: Path, *, port: int = 8200, more: str = "", expected: Mapping[str, str] | None = None
) -> Manifest:
    """A manifest that claims kv-consume; `expected` are reasons of failures by test."""
    path = folder / "manifest.toml"
    path.write_text(_MANIFEST.format(port=port, more=more), encoding="utf-8")
    made = read_manifest(path, {"KV": "s.kv-credential", "DENIED": "s.denied"})
    failures = {name: ExpectedFailure(reason, "", "") for name, reason in (expected or {}).items()}
    return Manifest(**{**vars(made), "expected_failures": failures})


def state(folder: Path, port: int, *, admin: bool = False, request_s: float = 5.0) -> State:
    """What a run on a server at `port` knows, with a journal in a folder."""
    transport = Transport(f"http://127.0.0.1:{port}", rps=5000, request_s=request_s)
    nobody = Client(transport, Compat("/v1", "secret", ""))
    callers = {"kv": nobody.using("s.kv"), "denied": nobody.using("s.denied")}
    if admin:
        callers["admin"] = nobody.using("s.admin")
    journal = Journal(folder / "journal", run=RUN, address="http://127.0.0.1")
    return State(RUN, transport, nobody, callers, "esa-canary-00", frozenset(), None, journal=journal)


def altered(body: Callable[[Trial], None], *, name: str = "value_comes_back", **members: Any) -> Test:
    """A test of the suite with another body."""
    real = next(test for test in all_tests() if test.id == name)
    return Test(**{**vars(real), **members, "body": body})


def result(name: str, outcome: str, *, detail: str = "", ms: int = 1, **members: Any) -> Result:
    """What came of a test of the suite."""
    real = next(test for test in all_tests() if test.id == name)
    return Result(real, Outcome(outcome), detail, ms / 1000, 2, 1, **members)


def all_results(**outcomes: str) -> list[Result]:
    """Every test of the suite passed, but for those that are named."""
    return [
        result(test.id, outcomes.get(test.id, "pass"), detail="why" if test.id in outcomes else "")
        for test in all_tests()
    ]


def finished(results: list[Result], told: frozenset[str] = frozenset()) -> Finished:
    """A run with these results."""
    identity = Identity("", "2.7.2", "5f0c", False, "", None, "")
    return Finished(RUN, 1_790_000_000.0, 1.5, identity, told, results, 3, (), "esa-canary-00", "http", "")


def report(
    folder: Path,
    results: list[Result],
    *,
    told: frozenset[str] = frozenset(),
    claim: tuple[str, ...] = ("kv-consume",),
) -> dict[str, Any]:
    """The report of a run with these results."""
    claiming = Manifest(**{**vars(manifest(folder)), "claim": claim})
    return document(claiming, finished(results, told), mode="mutating", narrowed=False)

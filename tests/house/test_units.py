# SPDX-License-Identifier: EUPL-1.2
"""What counts time says its unit by its type, and one module knows how many of one unit are another."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.tree import ROOT, files, nodes, spelled

_HOME = "vault/values/times.py"
_APART = {
    "nhi/auth/jwt/cel/child.py": "a program of its own, which imports nothing of ours",
    "nhi/auth/jwt/cel/protocol.py": "what that program is told and answers",
    "nhi/biscuit/format/printer.py": "the bytes of tokens, which need nothing of a server",
    "nhi/holder/approvals.py": "a holder's tool, called by a program that knows no server",
    "nhi/holder/limits.py": "a holder's tool, called by a program that knows no server",
    "vault/framework/clock.py": "asked twice by every request: a conversion would cost a call",
    "vault/log/export/kinds.py": "records are exported by a program that knows no server, too",
    "vault/framework/telemetry/exposition.py": "milliseconds with a fraction, as metrics are shown",
    "vault/framework/telemetry/metrics.py": "every request is observed: a conversion would cost a call",
}
"""Files that count time in plain numbers, and why."""
_OTHER = {
    ("nhi/biscuit/records/uses.py", "presented"): "how many",
    ("nhi/biscuit/routes/lineage_params.py", "issued"): "how many",
    ("nhi/biscuit/routes/lineage_params.py", "presented"): "how many",
    ("nhi/identity/provider/provider_routes.py", "max_age"): "OAuth's, of a query: a plain integer",
    ("vault/storage/memory.py", "since"): "an epoch",
    ("vault/storage/postgres/storage.py", "since"): "an epoch",
    ("vault/storage/protocol.py", "since"): "an epoch",
    ("vault/storage/sqlite/storage.py", "since"): "an epoch",
}
"""What has a name like a time, and is none or comes as a number."""
_TIME = re.compile(
    r"_?(now|ttl|until|expires?|created|issued|renewed|updated|changed|modified|deleted|revoked|presented|due|moment|since"
    r"|first_seen|period|increment|interval|duration|age|max_age|retry_after|explicit_max|ends|begins|millis|nanos|seconds)"
    r"|.*_(ttl|period|time|millis|nanos|seconds|ms|ns|duration|interval|leeway|expires|age)"
)
_UNIT = (1_000_000_000, 3_600_000, 86_400_000)


def bare(source: str) -> Iterator[tuple[int, str]]:
    """Return every parameter, field and result with the name of a time and the type of a plain integer."""
    for node in nodes(source):
        if isinstance(node, ast.arg) and node.annotation is not None:
            name, hint = node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign):
            name, hint = spelled(node.target).rpartition(".")[2], node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            name, hint = node.name, node.returns
        else:
            continue
        if _TIME.fullmatch(name) and re.search(r"\bint\b", spelled(hint)):
            yield node.lineno, name


def converted(source: str) -> Iterator[int]:
    """Return every line with a number that turns one unit of time into another."""
    for node in nodes(source):
        if (isinstance(node, ast.Constant) and node.value in _UNIT) or (
            isinstance(node, ast.BinOp) and spelled(node) == "10 ** 9"
        ):
            yield node.lineno


def _ours() -> Iterator[tuple[str, str]]:
    for path in files(".py"):
        name = str(path.relative_to(ROOT))
        if name.startswith(("vault/", "nhi/")) and name != _HOME:
            yield name, path.read_text(encoding="utf-8")


def test_what_has_the_name_of_a_time_has_the_type_of_its_unit() -> None:
    found = {(name, what) for name, source in _ours() if name not in _APART for _, what in bare(source)}
    assert sorted(found - _OTHER.keys()) == [], "Nanos, Millis or Seconds of vault.values.times"
    assert sorted(_OTHER.keys() - found) == []


def test_one_module_knows_how_many_of_one_unit_are_another() -> None:
    found = [f"{name}:{line}" for name, source in _ours() if name not in _APART for line in converted(source)]
    assert found == [], "vault.values.times has functions for it"


def test_whoever_counts_in_plain_numbers_does_so() -> None:
    plain = {
        name for name, source in _ours() if any(bare(source)) or any(converted(source)) or "1e6" in source
    }
    assert sorted(_APART.keys() - plain) == []


@pytest.mark.parametrize(
    "line",
    [
        "def f(now: int): ...",
        "def f(*, ttl: int | None = None): ...",
        "expires: int = 0",
        "def max_ttl() -> int: ...",
    ],
)
def test_a_bare_time_is_found(line: str) -> None:
    assert len(list(bare(line))) == 1


@pytest.mark.parametrize("line", ["def f(now: Millis): ...", "def f(seconds: float): ...", "limit: int = 0"])
def test_what_says_its_unit_or_is_no_time_is_left_alone(line: str) -> None:
    assert list(bare(line)) == []


@pytest.mark.parametrize("line", ["now * 1_000_000_000", "_SECOND = 10**9", "late * 1e9"])
def test_a_conversion_by_hand_is_found(line: str) -> None:
    assert list(converted(line)) == [1]

# SPDX-License-Identifier: EUPL-1.2
"""Arguments that could be swapped unseen are named by whoever calls: three of one plain type, two times of one unit."""

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.house import report
from tests.house.tree import ROOT, nodes, spelled

_PLAIN = {"str": 3, "bytes": 3, "int": 3, "float": 3, "bool": 3, "Millis": 2, "Nanos": 2, "Seconds": 2}
"""How many positional parameters of a type are too many."""
_APART = {
    (
        "vault/framework/telemetry/log.py",
        "event",
    ): "level, module, message: as every line of the log is written",
    ("vault/engines/transit/keys/hybrid.py", "encrypt"): "nonce, data, associated data: as in `cryptography`",
    ("vault/engines/transit/keys/hybrid.py", "decrypt"): "nonce, data, associated data: as in `cryptography`",
    (
        "vault/engines/transit/keys/xchacha.py",
        "encrypt",
    ): "nonce, data, associated data: as in `cryptography`",
    (
        "vault/engines/transit/keys/xchacha.py",
        "decrypt",
    ): "nonce, data, associated data: as in `cryptography`",
    ("vault/storage/copies/snapshot.py", "step"): "called by SQLite",
    ("vault/ui/html/components.py", "counted"): "a number, then its noun as it is for one and for several",
    ("cli/vaultctl/errors.py", "__init__"): "method, URL, path: as a request is written",
    ("cli/vaultctl/flags.py", "__init__"): "name, kind, text: as a flag is in the help",
    ("cli/vaultctl/tree/command.py", "__init__"): "name, function, usage: as a command is in the help",
}
"""Functions with more of them in an order that everybody knows, and why."""


def swappable(source: str) -> Iterator[tuple[str, str]]:
    """Return every public function or constructor with too many positional parameters of one type, and the type."""
    for node in nodes(source):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") and node.name != "__init__":
            continue
        hints = [argument.annotation for argument in (*node.args.posonlyargs, *node.args.args)]
        types = Counter(spelled(hint).removesuffix(" | None") for hint in hints if hint is not None)
        for kind, most in _PLAIN.items():
            if types[kind] >= most:
                yield node.name, kind


def test_arguments_that_could_be_swapped_unseen_are_named() -> None:
    found = {
        (str(module.path.relative_to(ROOT)), name): kind
        for module in report.modules(ROOT)
        for name, kind in swappable(module.text)
    }
    assert set(found) == set(_APART), "put a `*` before what whoever calls should name"


@pytest.mark.parametrize(
    "line",
    [
        "def seal(key: Key, head: bytes, path: str, data: bytes, nonce: bytes): ...",
        "async def claim(self, now: Millis, limit: int, hold: Millis): ...",
        "class Error:\n    def __init__(self, a: str, b: str | None, c: str = ''): ...",
    ],
)
def test_what_could_be_swapped_is_found(line: str) -> None:
    assert len(list(swappable(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "def seal(key: Key, *, head: bytes, path: str, data: bytes, nonce: bytes): ...",
        "def claim(now: Millis, limit: int, *, hold: Millis): ...",
        "def two(a: str, b: str, c: bytes): ...",
        "def _own(a: str, b: str, c: str): ...",
    ],
)
def test_what_is_named_or_told_apart_by_its_type_is_left_alone(line: str) -> None:
    assert list(swappable(line)) == []

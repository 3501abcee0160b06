# SPDX-License-Identifier: EUPL-1.2
"""A part of a call belongs to one stage: no other one puts something else in its place."""

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.house.tree import ROOT, files, nodes
from vault.framework.call import Call, Destination
from vault.framework.request.head import Head, Options, Proofs

_FRONT: Final = {
    "vault/wire/http.py": "the front",
    "vault/wire/proofs.py": "the front, for what proves who calls",
    "vault/repeated/head_cache.py": "the front, for bytes that came before",
    "vault/wire/inline_auth.py": "the front, for the login in a head",
    "vault/server/compose/self_init.py": "stands for a front: the configuration's own requests",
}
_RESOLVE: Final = {
    "vault/mount/router.py": "where a path leads",
    "vault/pipeline.py": "where it leads for somebody whose token lives elsewhere",
    "vault/repeated/plan.py": "where it led before",
    "nhi/biscuit/routes/login_mount.py": "a login by another name, while the mount it belongs to answers",
}
_OWNERS: Final = {
    "head": _FRONT,
    "options": _FRONT,
    "proofs": _FRONT,
    "destination": {**_FRONT, **_RESOLVE},
    "record": {},
    "credential": {"nhi/biscuit/credential/call_facts.py": "the authenticator's own"},
}
"""Who may put a part into a call, and why; the call itself makes the first ones, and starts over."""


def test_only_its_own_stage_fills_in_a_part() -> None:
    found = {
        (name, str(path.relative_to(ROOT)))
        for path in files(".py")
        if path.relative_to(ROOT).parts[0] in {"vault", "nhi"}
        for name in _written(path.read_text())
    }
    assert {(name, path) for name, path in found if path not in _OWNERS[name]} == set()
    assert {path for owners in _OWNERS.values() for path in owners} == {path for _, path in found}


def _written(source: str) -> Iterator[str]:
    """Return the parts that some code puts into what it calls `call` or `login`."""
    for node in nodes(source):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store | ast.Del)
            and node.attr in _OWNERS
            and isinstance(node.value, ast.Name)
            and node.value.id in {"call", "login", "again"}
        ):
            yield node.attr


def test_a_write_to_a_part_is_found() -> None:
    source = "def f(call):\n    call.head, call.key = 1, 2\n    call.record.held = 1\n    del call.options\n    return call.proofs\n"
    assert sorted(_written(source)) == ["head", "options"]


@pytest.mark.parametrize("part", [Head(), Options(), Proofs(), Destination()])
def test_a_part_itself_never_changes(part: Head | Options | Proofs | Destination) -> None:
    for name in part.__struct_fields__:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(part, name, None)


@pytest.mark.parametrize("name", ["namespace", "path", "mount", "local", "captures"])
def test_what_resolve_found_is_only_read(name: str) -> None:
    with pytest.raises(AttributeError, match="no setter"):
        setattr(Call(), name, None)

# SPDX-License-Identifier: EUPL-1.2
"""What is named an id has the type of what it names: as plain strings two of them could be swapped unseen."""

import ast
from collections.abc import Iterator

import pytest

from tests.house.tree import ROOT, files, nodes, spelled

_TYPES = {
    "accessor": "TokenAccessor, MountAccessor or SecretIdAccessor",
    "entity_id": "EntityId",
    "group_id": "GroupId",
    "lease_id": "LeaseId",
    "mount_accessor": "MountAccessor",
    "mount_id": "MountId",
    "namespace_id": "NamespaceId",
    "secret_id_accessor": "SecretIdAccessor",
    "token_id": "TokenId",
    "token_key": "TokenKey",
}
_APART = {
    "nhi/auth/jwt/cel/protocol.py": "what a program of its own is told, which imports nothing of ours",
    "vault/wrap/signed.py": "what a statement says of that which waits: the accessor of a token, or of a secret id",
}
"""Files where ids are plain strings, and why."""


def bare(source: str) -> Iterator[tuple[int, str]]:
    """Return every parameter and field with the name of an id and the type of a string."""
    for node in nodes(source):
        if isinstance(node, ast.arg) and node.annotation is not None:
            name, hint = node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign):
            name, hint = spelled(node.target).rpartition(".")[2], node.annotation
        else:
            continue
        if name in _TYPES and spelled(hint) in {"str", "str | None"}:
            yield node.lineno, name


def test_an_id_has_its_type() -> None:
    found = {
        f"{name}:{line}: {what} is {_TYPES[what]}"
        for path in files(".py")
        if (name := str(path.relative_to(ROOT))).startswith(("vault/", "nhi/")) and name not in _APART
        for line, what in bare(path.read_text(encoding="utf-8"))
    }
    assert sorted(found) == [], "see vault/values/ids.py"


@pytest.mark.parametrize(
    "line",
    [
        "def f(*, namespace_id: str | None): ...",
        "entity_id: str = ''",
        "accessor: str",
        "def f(mount_id: str): ...",
        "async def end(self, lease_id: str) -> None: ...",
        "group_id: str",
        "token_key: str | None = None",
    ],
)
def test_a_bare_id_is_found(line: str) -> None:
    assert len(list(bare(line))) == 1


@pytest.mark.parametrize(
    "line", ["def f(namespace_id: NamespaceId): ...", "entity_id: Annotated[str, Doc('')]"]
)
def test_what_has_its_type_or_is_a_requests_is_left_alone(line: str) -> None:
    assert list(bare(line)) == []

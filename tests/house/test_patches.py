# SPDX-License-Identifier: EUPL-1.2
"""Tests pass limits as arguments: a private name that is patched is a contract that nobody sees."""

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.house.tree import ROOT, files

_PATCHED: dict[tuple[str, str], tuple[int, str]] = {
    ("tests/hsm/test_agent_process.py", "_END_SECONDS"): (
        1,
        "the rhythm of a thread below a slot: so long that nothing but the deadline can end a call",
    ),
    ("tests/hsm/test_agent_process.py", "_IDLE_SECONDS"): (1, "as `_END_SECONDS`"),
    ("tests/integration/test_small_png.py", "_MOST"): (1, "so few colours that one has no place"),
    ("tests/routes/test_fair_logins.py", "_match"): (1, "made slow, so that logins meet in it"),
    ("tests/routes/test_key_rotation.py", "_new"): (1, "made slow, so that two rotations meet in it"),
    ("tests/routes/test_slot_changes.py", "__call__"): (1, "made to fail in the middle of a change"),
    ("tests/routes/test_storage_away.py", "_PATIENCE"): (
        1,
        "so short that a storage which hangs is not waited for",
    ),
    ("tests/routes/test_storage_away.py", "_TURNS_AWAY"): (
        1,
        "so short that the last answer is too old at once",
    ),
    ("tests/storage/test_postgres.py", "_RECENT"): (
        2,
        "so long that no busy machine forgets what was guessed",
    ),
    ("tests/storage/test_backup.py", "_STEPS"): (1, "so few that a small copy asks its listener"),
    ("tests/storage/test_backup.py", "_copy"): (1, "changes the source while it is copied"),
    ("tests/storage/test_restore.py", "_alone"): (2, "lets another process in between"),
    ("tests/unit/nhi/auth/cert/test_crl.py", "_signs_lists"): (
        1,
        "takes what the library would refuse first",
    ),
    ("tests/unit/nhi/auth/jwt/cel/test_programs.py", "_PROGRAM"): (2, "another program in place of ours"),
    ("tests/unit/nhi/auth/jwt/cel/test_tenants.py", "_PROGRAM"): (1, "another program in place of ours"),
    ("tests/unit/nhi/biscuit/issue/test_authority_block.py", "_compiled"): (
        2,
        "counted, and as another library would write",
    ),
    ("tests/unit/outbound/test_shares.py", "_may"): (1, "counted"),
    ("tests/unit/vaultctl/commands/login/test_oidc.py", "_SECONDS"): (
        1,
        "a bound of a whole command, which is given words alone, and bao has no word for it",
    ),
    ("tests/unit/vaultctl/commands/login/test_oidc.py", "_WAIT_SECONDS"): (1, "as `_SECONDS`"),
    ("tests/unit/server/process/test_freed_memory.py", "_system"): (1, "shows a machine without memory maps"),
}
"""What is patched still, how often and why: what is not there is refused, and what is there in vain as well."""


def patched(source: str) -> Iterator[str]:
    """Return every private name that a `setattr` replaces."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] == "setattr"
            and len(node.args) > 1
        ):
            name = node.args[len(node.args) > 2]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                last = name.value.rpartition(".")[2]
                if last.startswith("_"):
                    yield last


def test_no_private_name_is_patched_but_those_that_were() -> None:
    found: Counter[tuple[str, str]] = Counter()
    for path in files(".py"):
        name = str(path.relative_to(ROOT))
        if name.startswith("tests/"):
            found.update((name, what) for what in patched(path.read_text(encoding="utf-8")))
    expected = {patch: often for patch, (often, _) in _PATCHED.items()}
    assert found == expected, "make it an argument of the object, with the usual value as its default"


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(module, "_MOST", 3)',
        'patch.setattr(Shares, "_may", counted)',
        'monkeypatch.setattr("vault.token.authenticator._MOST", 3)',
    ],
)
def test_a_patch_of_a_private_name_is_found(line: str) -> None:
    assert len(list(patched(line))) == 1


@pytest.mark.parametrize("line", ['monkeypatch.setattr(os, "fsync", None)', "setattr(row, name, value)"])
def test_a_patch_of_the_world_is_none(line: str) -> None:
    assert list(patched(line)) == []

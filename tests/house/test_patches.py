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
        2,
        "so short that a storage which hangs is not waited for",
    ),
    ("tests/routes/test_storage_away.py", "_TURNS_AWAY"): (
        1,
        "so short that the last answer is too old at once",
    ),
    ("tests/storage/test_postgres.py", "_BRIEF"): (
        2,
        "so long that no busy machine forgets what was guessed",
    ),
    ("tests/storage/test_postgres_distance.py", "_BRIEF"): (1, "so short that nothing is guessed"),
    ("tests/storage/test_postgres_distance.py", "_RECENT"): (
        2,
        "so long that no busy machine forgets what was guessed",
    ),
    ("tests/storage/test_postgres.py", "_RECENT"): (
        1,
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
    ("tests/conformance/normalise.py", "_names"): (1, "of a copy of itself"),
    ("tests/conftest.py", "_split_scope"): (1, "of pytest-xdist, which has no other way in"),
    ("tests/later_release.py", "__version__"): (1, "another release, which has another number"),
    ("tests/perf/repeats.py", "_batch"): (1, "what reads cost without it"),
    ("tests/perf/test_leases.py", "_on_statement"): (2, "counts what one request asks of a storage in use"),
    ("tests/routes/driver.py", "_furnished"): (1, "of its own class"),
    ("tests/routes/test_again.py", "_again"): (1, "connections that have read the same heads before"),
    ("tests/routes/test_fence.py", "_on_statement"): (
        4,
        "as in `test_leases.py`, and lets others in between",
    ),
    ("tests/routes/test_lost_values.py", "_kept_sealed"): (1, "as if nobody had asked for the seal"),
    ("tests/routes/test_names.py", "_entered"): (1, "nobody is remembered, as after a start"),
    ("tests/stalls.py", "_run"): (1, "of asyncio: times each turn of the loop"),
    ("tests/storage/test_sqlite_ahead.py", "_begin"): (2, "lets another process in between"),
    ("tests/unit/engines/system/seal/test_seal.py", "_task"): (2, "died of a defect"),
    ("tests/unit/engines/system/seal/test_slots.py", "_key_id"): (1, "a key that was rotated outside"),
    ("tests/unit/engines/system/seal/test_slots.py", "_keys"): (2, "as `_key_id`, or lost"),
    ("tests/unit/hsm/client/test_backoff.py", "_until"): (1, "a pause that another thread has set meanwhile"),
    ("tests/unit/outbound/test_fetch.py", "_asyncio_future_blocking"): (1, "what asyncio's tasks set"),
    ("tests/unit/seal/changes/test_slot_changes.py", "__class__"): (2, "fails in the middle of a change"),
    ("tests/unit/seal/records/test_sealwrap.py", "_barrier"): (1, "a second process on one storage"),
    ("tests/unit/seal/records/test_sealwrap.py", "_slots"): (2, "a vault of other slots"),
    ("tests/unit/seal/records/test_sealwrap.py", "_storage"): (1, "as `_barrier`"),
    ("tests/unit/seal/test_followed_meanwhile.py", "_storage"): (2, "lets another process in between"),
    ("tests/unit/seal/test_restored_meanwhile.py", "_storage"): (5, "lets a restore in between"),
    ("tests/unit/storage/sqlite/test_row_cache.py", "_ask"): (2, "lets another process in between"),
    ("tests/unit/test_pipeline.py", "_authenticators"): (1, "a pipeline that knows no credential"),
    ("tests/unit/token/house.py", "_authenticators"): (1, "batch tokens in a vault that was made without"),
    ("tests/unit/vaultctl/http/test_client.py", "_address"): (2, "a server that goes and comes back"),
}
"""What is patched still, how often and why: what is not there is refused, and what is there in vain as well."""


def patched(source: str) -> Iterator[str]:
    """Return every private name that a `setattr` or `patch.object` replaces, or an assignment to another's attribute."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            found = list(_named(node))
        elif isinstance(node, ast.Assign | ast.Delete):
            found = [name for target in node.targets for name in _assigned(target)]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            found = list(_assigned(node.target))
        else:
            continue
        yield from (name for name in found if name.startswith("_"))


def _named(call: ast.Call) -> Iterator[str]:
    """Return the name that a call replaces: the last text but for what replaces it."""
    called = ast.unparse(call.func).rpartition(".")
    if called[2] != "setattr" and (called[2] != "object" or not called[0].endswith("patch")):
        return
    if len(call.args) > 1:
        name = call.args[called[2] == "object" or len(call.args) > 2]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value.rpartition(".")[2]


def _assigned(target: ast.expr) -> Iterator[str]:
    """Return the attributes of others that an assignment to `target` sets, or changes an item of."""
    if isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from _assigned(each)
    elif isinstance(target, ast.Subscript | ast.Starred):
        yield from _assigned(target.value)
    elif isinstance(target, ast.Attribute) and ast.unparse(target.value) not in {"self", "cls"}:
        yield target.attr


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
        'mock.patch.object(module, "_MOST", 3)',
        'patch.object(audit, "_batch")',
        "pool._most = 0",
        "most, pool._most = pool._most, 0",
        "self.slot._keys['a'] = b''",
        "group._patience += 1",
        "group._patience: float = 1",
        "del rows._ask",
    ],
)
def test_a_patch_of_a_private_name_is_found(line: str) -> None:
    assert len(list(patched(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(os, "fsync", None)',
        "setattr(row, name, value)",
        "self._most = 3",
        "pool.most = pool._most",
        "found = pool._most",
    ],
)
def test_a_patch_of_the_world_is_none(line: str) -> None:
    assert list(patched(line)) == []

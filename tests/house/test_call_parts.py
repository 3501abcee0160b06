# SPDX-License-Identifier: EUPL-1.2
"""A part of a call belongs to one stage: no other one puts something else in its place."""

import ast
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.house.tree import ROOT, files, nodes
from vault.framework.call import Call, Destination
from vault.framework.request.head import Head, Options, Proofs

_PIPELINE: Final = "vault/pipeline.py"
_PLAN: Final = "vault/repeated/plan.py"
_FRONT: Final = {
    "vault/wire/http.py": "the front",
    "vault/wire/early.py": "the front, for what it refused before all was read",
    "vault/wire/options.py": "the front, for what a query asks",
    "vault/wire/proofs.py": "the front, for what proves who calls",
    "vault/repeated/head_cache.py": "the front, for bytes that came before",
    "vault/wire/inline_auth.py": "the front, for the login in a head",
    "vault/server/compose/self_init.py": "stands for a front: the configuration's own requests",
}
_STAGES: Final = {_PIPELINE: "its stages", _PLAN: "what they found before"}
_FRONT_AND_STAGES: Final = {**_FRONT, **_STAGES}
_UNASKED: Final = {"vault/refusals.py": "what the log tells of a refusal before anybody was asked"}
_STAGES_AND_UNASKED: Final = {**_STAGES, **_UNASKED}
_ITSELF: Final = {_PIPELINE: "its stages"}
_ANSWERED: Final = {
    "vault/engines/system/clients/leases.py": "revokes what a lease names",
    "vault/engines/system/seal/generate_root.py": "ends a ceremony",
    "vault/engines/system/seal/rotate_root.py": "ends a ceremony",
    "vault/engines/system/seal/seal.py": "seals",
    "vault/engines/system/seal/slots.py": "changes the slots in memory",
    "nhi/identity/entities/identities.py": "ends what a merged entity had",
    "nhi/biscuit/issue/key_store.py": "remembers a key that the call's transaction saw",
}
_OWNERS: Final[Mapping[str, Mapping[str, str]]] = {
    **dict.fromkeys(("id", "now", "client_address", "client_port", "body", "login"), _FRONT),
    **dict.fromkeys(("head", "options", "proofs", "left"), _FRONT),
    "within": {**_FRONT, _PIPELINE: "a token that lives elsewhere"},
    "token": {**_FRONT, _PIPELINE: "an inline login's", "vault/wrap/guard.py": "a wrapping token in a body"},
    "key": {**_FRONT, "vault/repeated/plans.py": "the plans' own"},
    "operation": _FRONT_AND_STAGES,
    "data": {**_FRONT_AND_STAGES, **_UNASKED},
    "destination": {
        **_FRONT,
        **_STAGES,
        "vault/mount/router.py": "where a path leads",
        "nhi/biscuit/routes/login_mount.py": "a login by another name, while the mount it belongs to answers",
    },
    **dict.fromkeys(("bound", "identity"), _STAGES_AND_UNASKED),
    **dict.fromkeys(("decision", "params"), _STAGES),
    **dict.fromkeys(("core", "epoch", "in_turn", "asked", "admitted", "unsettled"), _ITSELF),
    "prepared": {
        **_ITSELF,
        "vault/engines/transit/moving/backup_routes.py": "a key that changed since it was written out",
    },
    "tx": {_PIPELINE: "its stages", "nhi/biscuit/routes/login_mount.py": "a login by another name"},
    "reader": {
        _PIPELINE: "its stages",
        "nhi/biscuit/routes/login_mount.py": "a login by another name",
        "nhi/biscuit/routes/token_routes.py": "a token of another namespace",
    },
    "admission": {
        "vault/wire/answers.py": "when to come again",
        "vault/wire/http.py": "a failed login",
        "vault/quota/book.py": "the rate limits",
        "vault/framework/route_table.py": "what is due to go",
        "vault/engines/system/log/proofs.py": "when a proof is there",
    },
    "counted": {
        "vault/quota/book.py": "the rate limits",
    },
    "replayed": {"vault/idempotency/kept_answers.py": "what was answered before"},
    "fingerprint": {
        "vault/framework/schema.py": "what reads bodies",
        "vault/idempotency/kept_answers.py": "of a request without a body",
    },
    "parsed": {"vault/framework/schema.py": "what decodes bodies"},
    "parsed_as": {"vault/framework/schema.py": "what decodes bodies"},
    "credential": {"nhi/biscuit/credential/call_facts.py": "the authenticator's own"},
    "spent": {"vault/token/authenticator.py": "what counts uses"},
    "after": {_PIPELINE: "runs it once", **_ANSWERED},
    "warnings": {
        "vault/engines/system/clients/wrapping.py": "of a request that is answered with those of another",
        "vault/token/issue.py": "what the making of a token warns of",
        "vault/wrap/wrapper.py": "those that it wraps",
    },
    "etag": {"vault/wire/answers.py": "what the answer says of its version"},
    "record": {},
}
"""Who may put something into a part of a call, and why; the call itself makes the first ones, and starts over."""


def _parts() -> set[str]:
    slots = {name for base in Call.__mro__ for name in getattr(base, "__slots__", ())}
    return slots - {"__weakref__"}


def test_only_its_own_stage_fills_in_a_part() -> None:
    found = {
        (name, str(path.relative_to(ROOT)))
        for path in files(".py")
        if path.relative_to(ROOT).parts[0] in {"vault", "nhi", "hsm"}
        for name in _written(path.read_text())
        if path != ROOT / "vault/framework/call.py"
    }
    assert set(_OWNERS) == _parts(), "each part has an owner"
    assert {(name, path) for name, path in found if path not in _OWNERS[name]} == set()
    owners = {(name, path) for name, paths in _OWNERS.items() for path in paths if path not in _FRONT}
    assert owners <= found, "who writes no part any more has left the list"
    assert set(_FRONT) <= {path for _, path in found}


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
    source = "def f(call):\n    call.head, call.what = 1, 2\n    call.record.held = 1\n    del call.options\n    return call.proofs\n"
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

# SPDX-License-Identifier: EUPL-1.2
"""Response wrapping: wrap, lookup, unwrap, rewrap, the cubbyhole way, and what burns a wrapping token."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, Step, delete, get, login, lst, policy, post
from tests.conformance.scenarios.acl import rule

TTL = {"X-Vault-Wrap-TTL": "120"}
SAVE = ("wrap:wrap_info.token", "wrap_acc:wrap_info.accessor")
WRAP = "sys/wrapping/wrap"


def wrapped(**options: object) -> Step:
    """Wraps a small body and captures the wrapping token."""
    return post(WRAP, {"a": "b", "n": 1}, headers=TTL, save=SAVE, **options)


def many(*steps: Step | Sequence[Step]) -> list[Step]:
    """Flattens one level."""
    return [one for item in steps for one in ([item] if isinstance(item, Step) else item)]


BASIC = [
    wrapped(),
    post("sys/wrapping/lookup", {"token": "{wrap}"}, token=""),
    get("sys/wrapping/lookup", token="{wrap}"),
    post("sys/wrapping/lookup", {"token": "{wrap}"}),
    post("auth/token/lookup", {"token": "{wrap}"}),
    post("auth/token/lookup-accessor", {"accessor": "{wrap_acc}"}),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token=""),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token=""),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    post("sys/wrapping/lookup", {"token": "{wrap}"}, token=""),
    get("sys/wrapping/lookup", token="{wrap}"),
    wrapped(),
    post("sys/wrapping/unwrap", b"", token="{wrap}"),
    wrapped(),
    post("sys/wrapping/unwrap", {}, token="{wrap}"),
    wrapped(),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token="{wrap}", divergence="DV-07"),
    wrapped(),
    get("sys/wrapping/unwrap", token="{wrap}"),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    wrapped(),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, headers=TTL, save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    wrapped(),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token="garbage"),
    post("auth/token/revoke-accessor", {"accessor": "{wrap_acc}"}),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
]

ERRORS = [
    post(WRAP, {"a": "b"}),
    post(WRAP, {"a": "b"}, token="", headers=TTL),
    post(WRAP, {}, headers=TTL),
    post(WRAP, b"", headers=TTL),
    post("sys/wrapping/unwrap", {}),
    post("sys/wrapping/unwrap", {}, token=""),
    post("sys/wrapping/unwrap", {"token": ""}, token=""),
    post("sys/wrapping/unwrap", {"token": "bad"}),
    post("sys/wrapping/unwrap", {"token": "bad"}, token=""),
    post("sys/wrapping/unwrap", {"token": "s.aaaaaaaaaaaaaaaaaaaaaaaa"}, token=""),
    post("sys/wrapping/unwrap", {"token": "{root}"}),
    post("sys/wrapping/lookup", {"token": "{root}"}),
    post("sys/wrapping/lookup", {"token": "bad"}, token=""),
    post("sys/wrapping/lookup", {}, token=""),
    post("sys/wrapping/lookup", {}),
    get("sys/wrapping/lookup"),
    post("sys/wrapping/rewrap", {}),
    post("sys/wrapping/rewrap", {"token": "bad"}),
    post("sys/wrapping/rewrap", {"token": "{root}"}),
    post("sys/wrapping/rewrap", {"token": "bad"}, token=""),
    get("sys/wrapping/pubkey", shape=2),
]

REWRAP = many(
    wrapped(),
    post("sys/wrapping/rewrap", {"token": "{wrap}"}, save=("next:wrap_info.token",)),
    post("sys/wrapping/lookup", {"token": "{wrap}"}),
    post("sys/wrapping/lookup", {"token": "{next}"}),
    post("sys/wrapping/rewrap", b"", token="{next}"),
    post("sys/wrapping/unwrap", {"token": "{next}"}),
    wrapped(),
    post("sys/wrapping/rewrap", {"token": "{wrap}"}, save=("next:wrap_info.token",)),
    post("sys/wrapping/rewrap", {"token": "{next}"}, save=("last:wrap_info.token",)),
    post("sys/wrapping/unwrap", {"token": "{next}"}),
    post("sys/wrapping/unwrap", {}, token="{last}"),
    post("sys/wrapping/unwrap", {"token": "{last}"}),
    wrapped(),
    post("sys/wrapping/rewrap", {"token": "{wrap}"}, token=""),
    wrapped(),
    get("cubbyhole/response", token="{wrap}"),
    get("cubbyhole/response", token="{wrap}"),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
)

BURNT = [
    one
    for use in (
        get("auth/token/lookup-self", token="{wrap}"),
        get("cubbyhole/other", token="{wrap}"),
        get("nope/x", token="{wrap}"),
        post("auth/token/renew-self", {}, token="{wrap}"),
        post("auth/token/revoke-self", {}, token="{wrap}"),
        lst("cubbyhole", token="{wrap}"),
        get("sys/health", token="{wrap}"),
        get("sys/internal/ui/mounts", token="{wrap}", pick=("lease_id",)),
    )
    for one in (wrapped(), use, post("sys/wrapping/unwrap", {"token": "{wrap}"}))
]

RESPONSES = [
    post("sys/mounts/wr", {"type": "kv"}),
    post("wr/a", {"x": "1"}),
    get("wr/a", headers=TTL, save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token=""),
    post("sys/wrapping/unwrap", {}, token="{wrap}"),
    lst("wr", headers=TTL, save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    post(
        "auth/token/create",
        {"ttl": "1h", "policies": ["default"]},
        headers=TTL,
        save=("wrap:wrap_info.token", "acc:wrap_info.wrapped_accessor"),
    ),
    post("auth/token/lookup-accessor", {"accessor": "{acc}"}),
    post("sys/wrapping/unwrap", {}, token="{wrap}", save=("inner:auth.client_token",)),
    get("auth/token/lookup-self", token="{inner}"),
    post("auth/token/create", {"ttl": "1h", "bogus": 1}, headers=TTL, save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    get("wr/absent", headers=TTL),
    delete("wr/a", headers=TTL),
    get("sys/seal-status", headers=TTL),
    get("sys/key-status", headers=TTL, save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    get("auth/token/lookup-self", headers=TTL, token="{inner}", save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token="{inner}"),
    policy("wr-burn", rule("wr/b", "read")),
    login("weak", "wr-burn"),
    post("wr/b", {"x": "2"}),
    get("wr/b", token="{weak}", headers=TTL, save=SAVE),
    get("wr/none", token="{weak}", headers=TTL),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token="{weak}"),
    wrapped(token="{weak}"),
    get("wr/b", headers=TTL | {"X-Vault-Wrap-Format": "jwt"}, save=SAVE),
    post("sys/wrapping/lookup", {"token": "{wrap}"}, token=""),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token=""),
    post("sys/wrapping/unwrap", {}, token="{wrap}"),
]

AT_FAULT = [
    post("sys/mounts/wr-t", {"type": "transit"}),
    post("wr-t/encrypt/k", {"plaintext": "c2VjcmV0"}, save=("ct:data.ciphertext",)),
    post(
        "wr-t/decrypt/k",
        {"batch_input": [{"ciphertext": "{ct}"}, {"ciphertext": "vault:v1:AAAA"}]},
        headers=TTL,
        save=SAVE,
    ),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    post("wr-t/encrypt/k", {"batch_input": [{"plaintext": "!"}]}, headers=TTL, save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    post("wr-t/decrypt/k", {"ciphertext": "vault:v1:AAAA"}, headers=TTL),
    post("sys/mounts/wr-kv", {"type": "kv", "options": {"version": "2"}}),
    post("wr-kv/data/a", {"data": {"x": "1"}}),
    delete("wr-kv/data/a"),
    get("wr-kv/data/a", headers=TTL, save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    get("wr-kv/subkeys/a", headers=TTL, save=SAVE),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}),
    get("wr-kv/data/none", headers=TTL),
    lst("wr-kv/metadata/none", headers=TTL),
]
"""Answers with data and a status that tells of a fault wait too."""


def elsewhere(made: str, asked: str) -> list[Step]:
    """Rewraps in one namespace what waits in another."""
    lost = {"divergence": "DV-94"} if made else {}
    return [
        post("sys/namespaces/wrt", {}),
        post("sys/namespaces/wro", {}),
        post(f"{made}{WRAP}", {"a": "b"}, headers=TTL, save=SAVE),
        post(f"{asked}sys/wrapping/lookup", {"token": "{wrap}"}),
        post(f"{asked}sys/wrapping/rewrap", {"token": "{wrap}"}, save=("anew:wrap_info.token",), **lost),
        post(f"{asked}sys/wrapping/unwrap", {"token": "{wrap}"}),
        post(f"{asked}sys/wrapping/unwrap", {"token": "{anew}"}, **lost),
    ]


SCENARIOS = [
    *(
        Scenario("wrapping", f"tenants-{name}", elsewhere(made, asked))
        for name, made, asked in (
            ("own", "wrt/", "wrt/"),
            ("above", "wrt/", ""),
            ("below", "", "wrt/"),
            ("beside", "wrt/", "wro/"),
        )
    ),
    Scenario("wrapping", "basic", BASIC),
    Scenario("wrapping", "errors", ERRORS),
    Scenario("wrapping", "rewrap", REWRAP),
    Scenario("wrapping", "burnt", BURNT),
    Scenario("wrapping", "responses", RESPONSES),
    Scenario("wrapping", "at-fault", AT_FAULT),
]

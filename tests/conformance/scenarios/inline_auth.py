# SPDX-License-Identifier: EUPL-1.2
"""Requests that bring their login along in `X-Vault-Inline-Auth-*` headers, and keep no token."""

import json
from base64 import urlsafe_b64encode

from tests.conformance.scenario import Scenario, Step, delete, get, lst, policy, post, step
from tests.conformance.scenarios.userpass import hashed

NAMES = "X-Vault-Inline-Auth-"
MOUNT = "auth/inline"
BOB = f"{MOUNT}/login/bob"
KV = "inline-kv"
TEAM = {"X-Vault-Namespace": "inline-team"}


def spelled(text: str) -> str:
    """A text as a parameter's header holds it."""
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def given(key: str, value: object) -> str:
    """One parameter of a login."""
    return spelled(json.dumps({"key": key, "value": value}))


def headers(path: str = BOB, password: str = "secret", **more: str) -> dict[str, str]:
    """The headers of a login."""
    return {
        f"{NAMES}Path": path,
        f"{NAMES}Parameter-one": given("password", password),
        **{f"{NAMES}{name}": value for name, value in more.items()},
    }


def as_bob(made: Step, **more: str) -> Step:
    """The step without a token, and with Bob's login."""
    return step(made.method, made.path, made.body, token="", headers={**made.headers, **headers(**more)})


def odd(divergence: str, *, token: str = "", **changed: str) -> Step:
    """A login that cannot be made, for another reason than a wrong password."""
    return get(f"{KV}/a", token=token, headers={**headers(), **changed}, divergence=divergence)


RULES = f"""
path "{KV}/*" {{ capabilities = ["create", "read", "update", "list"] }}
path "auth/token/*" {{ capabilities = ["create", "update", "read", "sudo"] }}
"""

BEGIN = [
    post("sys/auth/inline", {"type": "userpass"}),
    policy("inline", RULES),
    post(f"sys/mounts/{KV}", {"type": "kv"}),
    post(f"{KV}/a", {"x": "1"}),
    post(f"{MOUNT}/users/bob", {**hashed("secret"), "token_policies": "inline"}),
    post(f"{MOUNT}/users/bat", {**hashed("secret"), "token_policies": "inline", "token_type": "batch"}),
    post(f"{MOUNT}/users/once", {**hashed("secret"), "token_policies": "inline", "token_num_uses": 1}),
]

GOOD = [
    as_bob(get(f"{KV}/a")),
    as_bob(get(f"{KV}/a"), path=f"{MOUNT}/login/bat"),
    as_bob(post(f"{KV}/b", {"z": 1})),
    as_bob(get(f"{KV}/b")),
    as_bob(get(f"{KV}/nothing")),
    as_bob(lst(KV)),
    as_bob(get("sys/mounts")),
    as_bob(get(f"{KV}/a", headers={"X-Vault-Wrap-TTL": "60"})),
    as_bob(post("sys/wrapping/wrap", {"a": 1}, headers={"X-Vault-Wrap-TTL": "60"})),
    *(as_bob(get(f"{KV}/a"), Operation=operation) for operation in ("create", "update")),
    as_bob(get(f"{KV}/a"), Bogus="x"),
    as_bob(post(BOB, {"password": "secret"})),
    as_bob(get("sys/health"), password="wrong"),
    get(f"{KV}/a", token="", headers={f"{NAMES}Parameter-one": given("password", "secret")}),
    get(f"{KV}/a", token="", headers={f"{NAMES}Operation": "update"}),
]

OWNING = [
    as_bob(get("auth/token/lookup-self")),
    as_bob(post("auth/token/create", {})),
    as_bob(post("auth/token/create", {"type": "batch"})),
    as_bob(post("auth/token/create-orphan", {})),
    as_bob(post("auth/token/renew-self", {})),
    as_bob(post("auth/token/revoke-self", {})),
    as_bob(post("sys/wrapping/unwrap", {})),
    get("cubbyhole/a", token="", headers=headers(), divergence="DV-15"),
    get(f"sys/internal/ui/mounts/{KV}", token="", headers=headers(), divergence="DV-15"),
    post("sys/capabilities-self", {"path": f"{KV}/a"}, token="", headers=headers(), divergence="DV-15"),
]

FAILING = [
    as_bob(get(f"{KV}/a"), password="wrong"),
    as_bob(get("sys/internal/ui/mounts/" + KV), password="wrong"),
    as_bob(post(BOB, {"password": "secret"}), password="wrong"),
    as_bob(get("auth/token/lookup-self"), path=f"{MOUNT}/login/nobody"),
    *(
        as_bob(get(f"{KV}/a"), path=path)
        for path in (
            "auth/nope/login/x",
            f"{KV}/a",
            "sys/mounts",
            "",
            f"/{BOB}",
            f"{BOB}/",
            "auth//inline/login/bob",
        )
    ),
    as_bob(get(f"{KV}/a"), path=f"{MOUNT}/nope"),
    as_bob(get(f"{KV}/a"), path="auth/token/lookup-self", Operation="read"),
    as_bob(get(f"{KV}/a"), Operation="read"),
    as_bob(get(f"{KV}/a"), path="sys/health", Operation="read"),
    as_bob(get(f"{KV}/a"), path="sys/unseal"),
]

ODD = [
    odd("DV-07", token="{root}"),
    odd("DV-07", token="bad"),
    odd("DV-07", Authorization="Bearer {root}"),
    *(odd("DV-07", **{f"{NAMES}Operation": word}) for word in ("delete", "list", "UPDATE", "", "x")),
    *(
        odd("DV-07", **{f"{NAMES}Parameter-one": text})
        for text in (
            "!!!",
            urlsafe_b64encode(b'{"key":"password","value":"secret"}').decode(),
            spelled('{"key":'),
            spelled('{"key":"password"}'),
            spelled('{"value":"secret"}'),
            spelled('{"key":"password","value":"secret","x":1}'),
        )
    ),
    get(f"{KV}/a", token="", headers={f"{NAMES}Path": BOB}, divergence="DV-15"),
    odd("DV-15", **{f"{NAMES}Path": "sys/internal/specs/openapi", f"{NAMES}Operation": "read"}),
    odd("DV-15", **{f"{NAMES}Path": f"{MOUNT}/login/once"}),
    odd("DV-15", **{f"{NAMES}Namespace": "nope"}),
    step("POST", "cubbyhole/a", {"x": 1}, token="", headers=headers(), divergence="DV-15"),
]

ELSEWHERE = [
    post("sys/namespaces/inline-team", {}),
    post("sys/auth/inline", {"type": "userpass"}, headers=TEAM),
    step("POST", "sys/policies/acl/inline", {"policy": RULES}, headers=TEAM),
    post(f"sys/mounts/{KV}", {"type": "kv"}, headers=TEAM),
    post(f"{KV}/a", {"x": "team"}, headers=TEAM),
    post(f"{MOUNT}/users/bob", {**hashed("team"), "token_policies": "inline"}, headers=TEAM),
    as_bob(get(f"{KV}/a", headers=TEAM), password="team"),
    as_bob(get(f"{KV}/a", headers=TEAM), password="team", Namespace="inline-team"),
    as_bob(get(f"inline-team/{KV}/a"), password="team", Namespace="inline-team"),
    as_bob(get(f"inline-team/{KV}/a"), password="team", path=f"inline-team/{BOB}"),
    as_bob(get(f"{KV}/a", headers=TEAM), Namespace="root"),
    as_bob(get(f"{KV}/a"), password="team", Namespace="inline-team"),
    as_bob(get(f"inline-team/{KV}/a"), password="team"),
]

END = [
    delete("sys/auth/inline"),
    delete(f"sys/mounts/{KV}"),
    delete("sys/policies/acl/inline"),
]

SCENARIOS = [
    Scenario("inline-auth", name, [*BEGIN, *steps, *END])
    for name, steps in (
        ("good", GOOD),
        ("owning", OWNING),
        ("failing", FAILING),
        ("odd", ODD),
        ("elsewhere", [*ELSEWHERE, delete("sys/namespaces/inline-team")]),
    )
]

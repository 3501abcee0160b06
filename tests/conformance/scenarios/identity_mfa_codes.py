# SPDX-License-Identifier: EUPL-1.2
"""Second factors with codes that are right: each server's own totp engine plays the authenticator."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, Step, delete, get, post
from tests.conformance.scenarios.identity import home
from tests.conformance.scenarios.userpass import hashed

M = "idc/identity/mfa/"
DAY = 86_400
LOGIN = "idc/auth/ca/login/ann"
OUTCOME = ("auth.policies", "auth.token_type", "errors", "auth.client_token")


def factor(name: str, **fields: object) -> Sequence[Step]:
    """Make a method, and have the totp engine hold what ann shares with it."""
    made = {"issuer": "I", "method_name": name, "period": DAY, **fields}
    given = {"method_id": f"{{{name}}}", "entity_id": "{ann}"}
    return [
        post(M + "method/totp", made, save=(f"{name}:data.method_id",)),
        post(M + "method/totp/admin-generate", given, save=(f"url_{name}:data.url",)),
        post(f"totp-mfa/keys/{name}", {"url": f"{{url_{name}}}"}),
        get(f"totp-mfa/code/{name}", save=(f"code_{name}:data.code",), pick=("data.period",)),
    ]


def demand(*methods: str, name: str = "e") -> Step:
    """Demand one of these methods of everybody at the mount."""
    rule = {"mfa_method_ids": [f"{{{one}}}" for one in methods], "auth_method_accessors": ["{ca}"]}
    return post(f"{M}login-enforcement/{name}", rule)


def enter(*given: str, **options: object) -> Step:
    """Log in with factors in the header."""
    headers = {"X-Vault-MFA": ",".join(given)}
    return post(LOGIN, {"password": "p"}, token="", headers=headers, pick=OUTCOME, **options)


def wait() -> Step:
    """Log in without a factor, and capture what waits."""
    pick = ("auth.client_token", "warnings")
    return post(
        LOGIN, {"password": "p"}, token="", save=("r:auth.mfa_requirement.mfa_request_id",), pick=pick
    )


def complete(payload: object, **options: object) -> Step:
    """Complete the login that waits."""
    body = {"mfa_request_id": "{r}", "mfa_payload": payload}
    return post("idc/sys/mfa/validate", body, token="", pick=OUTCOME, **options)


CODES = [
    *home("idc", "ca"),
    post("sys/mounts/totp-mfa", {"type": "totp"}),
    post("idc/auth/ca/users/ann", hashed("p")),
    post(LOGIN, {"password": "p"}, token="", save=("ann:auth.entity_id",)),
    *factor("one"),
    *factor("two", algorithm="SHA256", digits=8),
    *factor("three", algorithm="SHA512", skew=0, key_size=64),
    *factor("four", key_size=1),
    *factor("five"),
    *factor("six"),
    demand("one"),
    enter("{one}:x{code_one}"),
    enter("{one}: {code_one}"),
    enter("{two}:{code_two}"),
    enter("{one}:{code_one}"),
    enter("{one}:{code_one}"),
    enter("{one}:passcode={code_one}"),
    demand("two", "three"),
    wait(),
    complete({"{one}": ["{code_one}"]}),
    complete({"{two}": ["{code_three}"]}),
    complete({"{two}": ["x"], "{three}": ["y"]}),
    complete({"{three}": ["1"]}),
    complete({"{two}": ["passcode={code_two}"]}),
    complete({"{two}": ["{code_two}"]}),
    wait(),
    complete({"{two}": ["{code_two}"]}),
    complete({"{three}": ["{code_three}"]}),
    demand("four"),
    enter("idc/four:{code_four}"),
    demand("five"),
    wait(),
    complete({"idc/five": ["{code_five}"]}),
    demand("six"),
    demand("six", name="e2"),
    enter("{six}:{code_six}", divergence="DV-40"),
    enter("{six}:{code_six}"),
    delete(M + "login-enforcement/e2"),
    delete(M + "login-enforcement/e"),
    enter("{one}:{code_one}"),
    delete("sys/mounts/totp-mfa"),
]

SCENARIOS = [Scenario("identity-mfa", "codes", CODES)]

# SPDX-License-Identifier: EUPL-1.2
"""Second factors: methods, whose logins need them, and logins that wait for them."""

from tests.conformance.scenario import Scenario, Step, delete, get, lst, post
from tests.conformance.scenarios.identity import entity, home
from tests.conformance.scenarios.jwt import STATIC, claims
from tests.conformance.scenarios.jwt_cel import program
from tests.conformance.scenarios.userpass import hashed
from tests.tokens import token

M = "idf/identity/mfa/"
ABSENT = "00000000-0000-0000-0000-000000000000"
TOTP = {"issuer": "I"}
METHODS = [
    *home("idf", "fa"),
    lst(M + "method"),
    lst(M + "method/totp"),
    get(M + "method/totp/none"),
    get(M + "method/none"),
    get(f"{M}method/{ABSENT}"),
    get(f"{M}method/totp/{ABSENT}"),
    post(M + "method/totp", {}),
    post(M + "method/totp", TOTP, save=("plain:data.method_id",)),
    get(M + "method/totp/{plain}"),
    post(M + "method/totp", {**TOTP, "method_name": "m1"}, save=("m1:data.method_id",)),
    post(M + "method/totp", {**TOTP, "method_name": "m1", "period": "1m"}),
    get(M + "method/{m1}"),
    *(
        post(M + "method/totp", {**TOTP, **wrong})
        for wrong in (
            {"digits": 7},
            {"algorithm": "MD5"},
            {"skew": 2},
            {"period": 0},
            {"key_size": 0},
            {"key_size": -1},
            {"max_validation_attempts": -1},
        )
    ),
    post(M + "method/totp", {**TOTP, "period": -5}, divergence="DV-02"),
    post(
        M + "method/totp/{m1}",
        {"issuer": "J", "digits": 8, "algorithm": "SHA256", "skew": 0, "key_size": 32, "qr_size": 0},
    ),
    get(M + "method/totp/{m1}"),
    post(M + "method/totp/{m1}", {}),
    post(M + "method/totp/none", {"issuer": "J"}),
    lst(M + "method/totp", unordered=("data.keys",)),
    lst(M + "method", unordered=("data.keys",)),
    post(M + "method/bogus", {}),
    post(M + "method/duo", {}, divergence="DV-64"),
    post(M + "method/okta", {}, divergence="DV-64"),
    post(M + "method/pingid", {}, divergence="DV-64"),
    lst(M + "method/duo"),
    lst(M + "method/okta"),
    lst(M + "method/pingid"),
    delete(M + "method/totp/none"),
    delete(M + "method/totp/{plain}"),
    get(M + "method/totp/{plain}"),
    get(M + "nothing"),
]

ENFORCEMENTS = [
    *home("idn", "na"),
    post("idn/identity/mfa/method/totp", {"issuer": "I", "method_name": "tm"}, save=("m:data.method_id",)),
    lst("idn/identity/mfa/login-enforcement"),
    get("idn/identity/mfa/login-enforcement/x"),
    *(
        post("idn/identity/mfa/login-enforcement/e1", body)
        for body in (
            {},
            {"mfa_method_ids": ["none"]},
            {"mfa_method_ids": ["{m}"]},
            {"mfa_method_ids": ["{m}"], "auth_method_accessors": ["bad"]},
            {"mfa_method_ids": ["{m}"], "auth_method_types": ["bogus"]},
            {"mfa_method_ids": ["{m}"], "identity_group_ids": ["bogus"]},
            {"mfa_method_ids": ["{m}"], "identity_entity_ids": ["bogus"]},
            {"mfa_method_ids": ["{m}"], "auth_method_types": ["userpass"]},
        )
    ),
    get("idn/identity/mfa/login-enforcement/e1"),
    lst("idn/identity/mfa/login-enforcement"),
    delete("idn/identity/mfa/method/totp/{m}", divergence="DV-07"),
    post("idn/auth/na/users/ann", hashed("p")),
    post(
        "idn/auth/na/login/ann", {"password": "p"}, token="", save=("r:auth.mfa_requirement.mfa_request_id",)
    ),
    post("idn/auth/na/login/ann", {"password": "wrong"}, token=""),
    post("idn/sys/mfa/validate", {}, token=""),
    post("idn/sys/mfa/validate", {"mfa_request_id": "none"}, token=""),
    post("idn/sys/mfa/validate", {"mfa_request_id": "none", "mfa_payload": {"{m}": ["1"]}}, token=""),
    post("idn/sys/mfa/validate", {"mfa_request_id": "{r}"}, token=""),
    post("idn/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {}}, token=""),
    post("idn/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {"{m}": "x"}}, token=""),
    post("idn/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {"zz": ["1"]}}, token=""),
    post(
        "idn/identity/lookup/entity",
        {"alias_name": "ann", "alias_mount_accessor": "{na}"},
        save=("e:data.id",),
    ),
    post("idn/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {"{m}": ["1"]}}, token=""),
    get("idn/sys/mfa/validate", token=""),
    *(
        post(
            "idn/identity/mfa/method/totp/admin-generate",
            body,
            divergence="DV-02" if body.get("method_id") == "none" else "",
        )
        for body in (
            {},
            {"method_id": "{m}"},
            {"method_id": "{m}", "entity_id": "none"},
            {"method_id": "none", "entity_id": "{e}"},
        )
    ),
    post("idn/identity/mfa/method/totp/admin-generate", {"method_id": "{m}", "entity_id": "{e}"}, shape=2),
    post("idn/identity/mfa/method/totp/admin-generate", {"method_id": "{m}", "entity_id": "{e}"}),
    post("idn/identity/mfa/method/totp/generate", {}),
    post("idn/identity/mfa/method/totp/generate", {"method_id": "{m}"}),
    post("idn/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {"{m}": ["00000x"]}}, token=""),
    post(
        "idn/sys/mfa/validate",
        {"mfa_request_id": "{r}", "mfa_payload": {"{m}": ["passcode=00000"]}},
        token="",
    ),
    *(
        post("idn/auth/na/login/ann", {"password": "p"}, token="", headers={"X-Vault-MFA": value})
        for value in ("{m}:00000", "tm:00000", "{m}", "bad", "zz:11")
    ),
    post("idn/identity/mfa/method/totp/admin-destroy", {}),
    post("idn/identity/mfa/method/totp/admin-destroy", {"method_id": "{m}", "entity_id": "none"}),
    post("idn/identity/mfa/method/totp/admin-destroy", {"method_id": "{m}", "entity_id": "{e}"}),
    post("idn/identity/mfa/method/totp/admin-destroy", {"method_id": "{m}", "entity_id": "{e}"}),
    post(
        "idn/identity/mfa/login-enforcement/e1", {"mfa_method_ids": ["{m}"], "identity_entity_ids": ["{e}"]}
    ),
    get("idn/identity/mfa/login-enforcement/e1"),
    delete("idn/identity/mfa/login-enforcement/e1"),
    post(
        "idn/identity/mfa/login-enforcement/e2", {"mfa_method_ids": ["{m}"], "identity_entity_ids": ["{e}"]}
    ),
    post("idn/auth/na/users/bob", hashed("p")),
    post("idn/auth/na/login/bob", {"password": "p"}, token=""),
    post("idn/auth/na/login/ann", {"password": "p"}, token=""),
    delete("idn/identity/mfa/login-enforcement/e2"),
    post("idn/identity/group", {"name": "g", "member_entity_ids": "{e}"}, save=("g:data.id",)),
    post("idn/identity/mfa/login-enforcement/e1", {"mfa_method_ids": ["{m}"], "identity_group_ids": ["{g}"]}),
    post("idn/auth/na/login/ann", {"password": "p"}, token=""),
    delete("idn/identity/mfa/login-enforcement/none"),
    delete("idn/identity/mfa/login-enforcement/e1"),
    post("idn/auth/na/login/ann", {"password": "p"}, token=""),
    delete("idn/identity/mfa/method/totp/{m}"),
]

P, K, B = "ifp/identity/mfa/", "ifp/kid/identity/mfa/", "ifo/identity/mfa/"
BELOW = [
    *home("ifp", "pa"),
    *home("ifo"),
    post("ifp/sys/namespaces/kid", {}),
    post("ifp/kid/sys/auth/ka", {"type": "userpass"}),
    get("ifp/kid/sys/auth/ka", save=("ka:data.accessor",), pick=("data.type",)),
    post(P + "method/totp", {"issuer": "I", "method_name": "pm"}, save=("pm:data.method_id",)),
    post(K + "method/totp", {"issuer": "I", "method_name": "km"}, save=("km:data.method_id",)),
    get(K + "method/{pm}"),
    get(K + "method/totp/{pm}"),
    lst(K + "method", unordered=("data.keys",)),
    lst(P + "method", unordered=("data.keys",)),
    get(P + "method/totp/{km}", divergence="DV-66"),
    get(B + "method/totp/{km}", divergence="DV-66"),
    get(B + "method/totp/{pm}", divergence="DV-66"),
    post(K + "method/totp/{pm}", {"issuer": "J"}),
    delete(K + "method/totp/{pm}", divergence="DV-07"),
    get(P + "method/totp/{pm}"),
    post(P + "login-enforcement/pe", {"mfa_method_ids": ["{pm}"], "auth_method_accessors": ["{ka}"]}),
    post(
        P + "login-enforcement/pe",
        {"mfa_method_ids": ["{km}"], "auth_method_types": ["userpass"]},
        divergence="DV-66",
    ),
    post(P + "login-enforcement/pe", {"mfa_method_ids": ["{pm}"], "auth_method_types": ["approle"]}),
    post(P + "login-enforcement/pe", {"mfa_method_ids": ["{pm}"], "auth_method_types": ["userpass"]}),
    get(K + "login-enforcement/pe"),
    lst(K + "login-enforcement"),
    post("ifp/kid/auth/ka/users/ann", hashed("p")),
    post(
        "ifp/kid/auth/ka/login/ann",
        {"password": "p"},
        token="",
        save=("r:auth.mfa_requirement.mfa_request_id",),
    ),
    post(
        "ifp/kid/identity/lookup/entity",
        {"alias_name": "ann", "alias_mount_accessor": "{ka}"},
        save=("e:data.id",),
    ),
    post("ifp/kid/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {"zz": ["1"]}}, token=""),
    post(
        "ifp/sys/mfa/validate",
        {"mfa_request_id": "{r}", "mfa_payload": {"{pm}": ["1"]}},
        token="",
        divergence="DV-66",
    ),
    post("ifp/kid/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {"{pm}": ["1"]}}, token=""),
    post(P + "method/totp/admin-generate", {"method_id": "{pm}", "entity_id": "{e}"}),
    post(K + "method/totp/admin-generate", {"method_id": "{pm}", "entity_id": "{e}"}, shape=2),
    post(K + "method/totp/admin-generate", {"method_id": "{pm}", "entity_id": "{e}"}),
    post("ifp/kid/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {"{pm}": ["00000"]}}, token=""),
    *(
        post(
            "ifp/kid/sys/mfa/validate", {"mfa_request_id": "{r}", "mfa_payload": {name: ["00000"]}}, token=""
        )
        for name in ("pm", "ifp/pm", "ifp/kid/pm")
    ),
    *(
        post("ifp/kid/auth/ka/login/ann", {"password": "p"}, token="", headers={"X-Vault-MFA": value})
        for value in ("{pm}:00000", "pm:00000")
    ),
    post(P + "method/totp/admin-destroy", {"method_id": "{pm}", "entity_id": "{e}"}),
    post(K + "method/totp/admin-destroy", {"method_id": "{pm}", "entity_id": "{e}"}),
    delete(P + "login-enforcement/pe"),
    post(K + "login-enforcement/ke", {"mfa_method_ids": ["{pm}"], "auth_method_accessors": ["{ka}"]}),
    get(K + "login-enforcement/ke"),
    delete(P + "method/totp/{pm}", divergence="DV-07"),
    post("ifp/kid/auth/ka/login/ann", {"password": "p"}, token=""),
    delete(K + "login-enforcement/ke"),
    delete(P + "method/totp/{pm}"),
    get(K + "method/totp/{pm}"),
    post("ifp/kid/auth/ka/login/ann", {"password": "p"}, token=""),
]

G = "idg/identity/"
MERGED = [
    *home("idg", "ga"),
    post(G + "mfa/method/totp", {"issuer": "I"}, save=("m:data.method_id",)),
    post(G + "mfa/method/totp", {"issuer": "I" * 3000}, save=("long:data.method_id",)),
    *(entity("idg", name) for name in ("a", "b", "c")),
    *(
        post(G + "mfa/method/totp/admin-generate", {"method_id": "{m}", "entity_id": f"{{{name}}}"}, shape=2)
        for name in ("a", "b")
    ),
    post(
        G + "mfa/method/totp/admin-generate", {"method_id": "{long}", "entity_id": "{c}"}, divergence="DV-07"
    ),
    post(G + "entity/merge", {"from_entity_ids": ["{a}"], "to_entity_id": "{b}"}, divergence="DV-07"),
    post(G + "entity/merge", {"from_entity_ids": ["{a}"], "to_entity_id": "{b}", "force": True}),
    post(G + "entity/merge", {"from_entity_ids": ["{b}"], "to_entity_id": "{c}"}),
    post(G + "mfa/method/totp/admin-generate", {"method_id": "{m}", "entity_id": "{c}"}),
    post(G + "mfa/method/totp/{m}", {"issuer": "J", "digits": 8}),
    post(G + "mfa/method/totp/admin-generate", {"method_id": "{m}", "entity_id": "{c}"}),
    get(G + "entity/id/{c}"),
    post("idg/auth/ga/users/ann", hashed("p")),
    post("idg/auth/ga/login/ann", {"password": "p"}, token="", save=("ann:auth.entity_id",)),
    post(G + "mfa/login-enforcement/of", {"mfa_method_ids": ["{m}"], "identity_entity_ids": ["{ann}"]}),
    post("idg/auth/ga/login/ann", {"password": "p"}, token=""),
    post(G + "entity/merge", {"from_entity_ids": ["{ann}"], "to_entity_id": "{c}"}),
    post("idg/auth/ga/login/ann", {"password": "p"}, token="", divergence="DV-40"),
]

L = "idl/identity/mfa/"
JWT = token(claims(aud="a"))
WRAP = {"X-Vault-Wrap-TTL": "60s"}


def programmed(role: str, **options: object) -> Step:
    """Log in by a role whose program decides."""
    return post("idl/auth/lj/cel/login", {"role": role, "jwt": JWT}, token="", **options)


def nobodys() -> list[Step]:
    """Log in as nobody in particular, and as somebody; without a factor, with a wrong one, and wrapped."""
    waits = ("auth.client_token", "auth.mfa_requirement.mfa_constraints", "wrap_info", "warnings")
    return [
        programmed("none"),
        programmed("none", headers=WRAP),
        programmed("none", headers={"X-Vault-MFA": "{m}:000000"}),
        programmed("some", pick=waits),
        programmed("some", headers=WRAP, pick=waits, divergence="DV-40"),
        post("idl/auth/lj/login", {"role": "r", "jwt": JWT}, token="", pick=waits),
    ]


NOBODY = [
    *home("idl", "la"),
    post("idl/sys/auth/lj", {"type": "jwt"}),
    get("idl/sys/auth/lj", save=("lj:data.accessor",)),
    post("idl/auth/lj/config", STATIC),
    post("idl/auth/lj/role/r", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "a"}),
    *(
        post(f"idl/auth/lj/cel/role/{name}", {"cel_program": program(given), "bound_audiences": "a"})
        for name, given in (
            ("none", "pb.Auth{policies: ['default']}"),
            ("some", "pb.Auth{policies: ['default'], alias: logical.Alias{name: claims.sub}}"),
        )
    ),
    programmed("none", pick=("auth.policies",)),
    post(L + "method/totp", {"issuer": "I"}, save=("m:data.method_id",)),
    post(L + "login-enforcement/e", {"mfa_method_ids": ["{m}"], "auth_method_accessors": ["{lj}"]}),
    *nobodys(),
    delete(L + "login-enforcement/e"),
    programmed("none", pick=("auth.policies",)),
    post(L + "login-enforcement/e", {"mfa_method_ids": ["{m}"], "auth_method_types": ["jwt"]}),
    *nobodys(),
    delete(L + "login-enforcement/e"),
    programmed("none", pick=("auth.policies",)),
]

SCENARIOS = [
    Scenario("identity-mfa", "nobody", NOBODY),
    Scenario("identity-mfa", "methods", METHODS),
    Scenario("identity-mfa", "enforcements", ENFORCEMENTS),
    Scenario("identity-mfa", "below", BELOW),
    Scenario("identity-mfa", "merged", MERGED),
]

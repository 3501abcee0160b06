# SPDX-License-Identifier: EUPL-1.2
"""nulls: what identities, and how people and machines log in, make of a field that is sent as null."""

from collections.abc import Mapping, Sequence

from tests.conformance.scenario import Scenario, delete, get, post
from tests.conformance.scenarios.approle import ROLE as READ
from tests.conformance.scenarios.cert import CA
from tests.conformance.scenarios.identity import alias, entity, group, home
from tests.conformance.scenarios.jwt import mount
from tests.conformance.scenarios.kubernetes_auth import CLUSTER
from tests.conformance.scenarios.nulls import emptied
from tests.tokens import KEY, pem

N = "nul/identity/"
Fields = Mapping[str, object]
ENTITY: Fields = {"metadata": {"a": "b"}, "policies": "p", "disabled": True, "name": "n"}
GROUP: Fields = {"metadata": {"a": "b"}, "policies": "p", "member_group_ids": "{inner}", "name": "n"}
ALIAS: Fields = {"name": "al", "mount_accessor": "{ua}", "canonical_id": "{e}", "custom_metadata": {"a": "b"}}
GROUP_ALIAS: Fields = {"name": "ga", "mount_accessor": "{ua}", "canonical_id": "{x}"}
LOOKUPS: Sequence[Fields] = (
    {"id": None},
    {"id": "", "name": "e"},
    {"name": None},
    {"name": None, "id": "none"},
    {"alias_id": ""},
    {"alias_name": None},
    {"alias_name": None, "alias_mount_accessor": None},
    {"alias_name": "al", "alias_mount_accessor": ""},
    {"alias_name": "al"},
    {"alias_name": None, "name": "x"},
    {"alias_mount_accessor": "{ua}"},
)
METHOD: Fields = {
    "method_name": "m",
    "issuer": "I",
    "period": 60,
    "digits": 8,
    "algorithm": "SHA256",
    "skew": 0,
    "key_size": 10,
    "qr_size": 100,
    "max_validation_attempts": 3,
}
ENFORCEMENT: Fields = {
    "mfa_method_ids": ["{m}"],
    "auth_method_accessors": ["{ua}"],
    "auth_method_types": ["userpass"],
    "identity_group_ids": ["{x}"],
    "identity_entity_ids": ["{e}"],
}
IDENTITIES = [
    *home("nul", "ua"),
    entity("nul", "e"),
    group("nul", "inner"),
    group("nul", "x", type="external"),
    *emptied(N + "entity/name/n", ENTITY),
    *emptied(N + "group/name/n", GROUP),
    *(post(N + "group/name/n", {"type": kind}) for kind in (None, "", "internal", "external", "bogus")),
    *(post(N + "group/name/x", {"type": kind}) for kind in (None, "", "internal", "external")),
    *(post(N + f"group/name/new{i}", {"type": kind}) for i, kind in enumerate((None, ""))),
    post(N + "group/name/new2", {"type": "bogus"}, divergence="DV-02"),
    get(N + "group/name/new0"),
    get(N + "group/name/new1"),
    post(N + "group/name/n", {"member_entity_ids": "{e}"}),
    post(N + "group/name/n", {"member_entity_ids": None}),
    post(N + "group/name/n", {}),
    get(N + "group/name/n"),
    alias("nul", "al", "ua", "e", custom_metadata={"a": "b"}),
    *emptied(N + "entity-alias/id/{al}", ALIAS),
    post(N + "group-alias", GROUP_ALIAS, save=("ga:data.id",)),
    *emptied(N + "group-alias/id/{ga}", GROUP_ALIAS, "", tuple(f"data.{name}" for name in GROUP_ALIAS)),
    *(post(f"{N}group-alias/id/{{ga}}", {**GROUP_ALIAS, "name": name}) for name in ("gb", "gb", "ga")),
    *(post(f"{N}lookup/{what}", body) for what in ("entity", "group") for body in LOOKUPS),
    post(
        N + "entity-alias",
        {"name": "fresh", "mount_accessor": "{ua}", "custom_metadata": None},
        save=("fresh:data.id",),
    ),
    get(N + "entity-alias/id/{fresh}"),
    post(N + "entity/merge", {"to_entity_id": None, "from_entity_ids": None}),
    post(N + "entity/batch-delete", {"entity_ids": None}),
    post(N + "mfa/method/totp", METHOD, save=("m:data.method_id",)),
    *emptied(N + "mfa/method/totp/{m}", METHOD, issuer="I"),
    *emptied(N + "mfa/login-enforcement/e", ENFORCEMENT, "mfa_method_ids", mfa_method_ids=["{m}"]),
    *(
        post(N + "mfa/login-enforcement/new", body, divergence=code)
        for body, code in (
            ({"mfa_method_ids": None}, ""),
            ({"auth_method_types": ["userpass"]}, ""),
            ({"auth_method_types": ["userpass"], "mfa_method_ids": None}, "DV-06"),
            ({"auth_method_types": ["userpass"], "mfa_method_ids": []}, "DV-06"),
        )
    ),
]

SIGNING_KEY: Fields = {
    "algorithm": "ES256",
    "rotation_period": "2h",
    "verification_ttl": "3h",
    "allowed_client_ids": "a,b",
}
ROLE: Fields = {"key": "k", "template": '{"a":1}', "client_id": "c", "ttl": "1h"}
ASSIGNMENT: Fields = {"entity_ids": "a", "group_ids": "b"}
SCOPE: Fields = {"template": '{"a":1}', "description": "d"}
CLIENT: Fields = {
    "redirect_uris": "https://a.example",
    "assignments": "allow_all",
    "key": "k",
    "id_token_ttl": "1h",
    "access_token_ttl": "2h",
    "client_type": "confidential",
    "authorization_code": False,
    "client_credentials": True,
}
PROVIDER: Fields = {"issuer": "https://i.example", "allowed_client_ids": "*", "scopes_supported": "s"}
T = "nuo/identity/oidc/"
TOKENS = [
    *home("nuo"),
    *emptied(T + "config", {"issuer": "https://i.example"}),
    *emptied(T + "key/k", SIGNING_KEY, "algorithm"),
    post(T + "key/fresh", dict.fromkeys(SIGNING_KEY), divergence="DV-02"),
    post(T + "key/fresh", {**dict.fromkeys(SIGNING_KEY), "algorithm": "ES256"}),
    get(T + "key/fresh"),
    *emptied(T + "role/r", ROLE, "", ("data.ttl", "data.template", "data.key")),
    post(T + "role/fresh", {**dict.fromkeys(ROLE), "key": "k"}),
    get(T + "role/fresh", pick=("data.ttl", "data.template", "data.key")),
    *(post(T + "role/fresh", body) for body in ({"key": ""}, {"client_id": "mine"}, {"ttl": "1h"})),
    get(T + "role/fresh"),
    *emptied(T + "assignment/a", ASSIGNMENT),
    *emptied(T + "scope/s", SCOPE),
    *emptied(T + "client/c", CLIENT, "", tuple(f"data.{name}" for name in CLIENT)),
    *(post(f"{T}client/new", {"key": value}, divergence="DV-02") for value in (None, "")),
    *(post(f"{T}client/new", {"client_type": value}, divergence="DV-02") for value in (None, "")),
    *emptied(T + "provider/p", PROVIDER),
    post(T + "introspect", {"token": None}),
]

CONFIG: Fields = {
    "jwt_validation_pubkeys": pem(KEY),
    "bound_issuer": "i",
    "default_role": "r",
    "jwt_supported_algs": "ES256",
    "namespace_in_state": False,
    "override_allowed_server_names": "a",
    "provider_config": {"provider": "azure"},
    "skip_jwks_validation": True,
}
K8S: Fields = {
    **CLUSTER,
    "token_reviewer_jwt": "t",
    "pem_keys": [pem(KEY)],
    "issuer": "i",
    "disable_iss_validation": False,
}
K8S_ROLE: Fields = {
    "bound_service_account_names": "a",
    "bound_service_account_namespaces": "b",
    "bound_service_account_namespace_selector": '{"matchLabels":{"a":"b"}}',
    "audience": "c",
    "alias_name_source": "serviceaccount_name",
    "token_policies": "p",
    "num_uses": 3,
    "period": "1m",
}
CERT: Fields = {
    "certificate": CA.pem,
    "display_name": "d",
    "allowed_names": "a",
    "allowed_common_names": "a",
    "allowed_dns_sans": "a",
    "allowed_email_sans": "a",
    "allowed_uri_sans": "a",
    "allowed_organizational_units": "a",
    "allowed_metadata_extensions": "1.2.3",
    "required_extensions": "1.2.3:a",
    "ocsp_enabled": True,
    "ocsp_ca_certificates": CA.pem,
    "ocsp_servers_override": "http://x",
    "ocsp_fail_open": True,
    "ocsp_query_all_servers": True,
    "lease": 60,
    "period": "1m",
}
CERT_CONFIG: Fields = {"disable_binding": True, "enable_identity_alias_metadata": True, "ocsp_cache_size": 10}
CEL: Fields = {
    "cel_program": {"expression": "true"},
    "bound_audiences": "a",
    "message": "m",
    "clock_skew_leeway": 5,
    "expiration_leeway": 5,
    "not_before_leeway": 5,
}
APPROLE: Fields = {
    "bind_secret_id": True,
    "secret_id_bound_cidrs": "10.0.0.0/8",
    "secret_id_num_uses": 3,
    "secret_id_ttl": "5m",
    "token_policies": "p",
    "token_strictly_bind_ip": False,
    "role_id": "rid",
    "period": "1m",
}
SECRET_ID: Fields = {
    "metadata": '{"a":"b"}',
    "cidr_list": "10.0.0.0/8",
    "token_bound_cidrs": "10.0.0.0/8",
    "num_uses": 3,
    "ttl": "5m",
}
TOTP: Fields = {
    "key": "JBSWY3DPEHPK3PXP",
    "account_name": "a",
    "issuer": "i",
    "algorithm": "SHA256",
    "digits": 8,
    "period": 60,
    "skew": 0,
}
LOGINS = [
    mount("nul-jwt"),
    *emptied("auth/nul-jwt/config", CONFIG, jwt_validation_pubkeys=pem(KEY)),
    *emptied("auth/nul-jwt/cel/role/r", CEL),
    mount("nul-k8s", "kubernetes"),
    *emptied("auth/nul-k8s/config", K8S, **CLUSTER),
    *emptied("auth/nul-k8s/role/r", K8S_ROLE),
    mount("nul-cert", "cert"),
    *emptied("auth/nul-cert/config", CERT_CONFIG),
    *emptied("auth/nul-cert/certs/r", CERT),
    mount("nul-approle", "approle"),
    *emptied("auth/nul-approle/role/r", APPROLE, "", READ),
    *(post("auth/nul-approle/role/r/secret-id", {**SECRET_ID, name: None}, shape=2) for name in SECRET_ID),
    *(
        post(f"auth/nul-approle/role/r/{name}", {name.replace("-", "_"): None})
        for name in ("policies", "period", "token-ttl", "token-num-uses", "secret-id-ttl", "role-id")
    ),
    get("auth/nul-approle/role/r", pick=READ),
    mount("nul-users", "userpass"),
    post("auth/nul-users/users/u", {"password": "p", "token_policies": "a"}),
    post("auth/nul-users/users/u/password", {"password": None}),
    post("auth/nul-users/users/u/policies", {"token_policies": None}),
    get("auth/nul-users/users/u"),
    *(delete(f"sys/auth/{name}") for name in ("nul-jwt", "nul-k8s", "nul-cert", "nul-approle", "nul-users")),
    post("sys/mounts/nul-totp", {"type": "totp"}),
    *(
        one
        for name in TOTP
        for one in (post("nul-totp/keys/k", {**TOTP, name: None}), get("nul-totp/keys/k"))
    ),
    post("nul-totp/code/k", {"code": None}),
    delete("sys/mounts/nul-totp"),
]

SCENARIOS = [
    Scenario("http", "nulls-identities", IDENTITIES),
    Scenario("http", "nulls-identity-tokens", TOKENS),
    Scenario("http", "nulls-logins", LOGINS),
]

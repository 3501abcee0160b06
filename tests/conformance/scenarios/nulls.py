# SPDX-License-Identifier: EUPL-1.2
"""nulls: a field that is sent as null is emptied, but for times; one that is not sent stays."""

from collections.abc import Mapping, Sequence

from tests.conformance.scenario import Scenario, Step, delete, get, post
from tests.conformance.scenarios.jwt import mount

JWT: Mapping[str, object] = {
    "role_type": "jwt",
    "user_claim": "sub",
    "bound_audiences": "a",
    "bound_subject": "s",
    "bound_claims": {"z": "1"},
    "claim_mappings": {"a": "b"},
    "groups_claim": "g",
    "clock_skew_leeway": 5,
    "max_age": 5,
    "allowed_redirect_uris": "x",
    "oidc_scopes": "y",
    "token_policies": "p",
    "token_ttl": "5m",
    "token_bound_cidrs": "10.0.0.0/8",
    "token_num_uses": 2,
    "token_no_default_policy": True,
    "token_type": "service",
    "user_claim_json_pointer": True,
    "oauth2_metadata": "id_token",
    "poll_interval": 3,
    "callback_mode": "direct",
    "oidc_disable_confirmation": True,
}
USER: Mapping[str, object] = {
    "password": "pw",
    "token_policies": "p",
    "token_ttl": 60,
    "token_num_uses": 4,
    "token_bound_cidrs": "10.0.0.0/8",
}
TOKEN_ROLE: Mapping[str, object] = {
    "allowed_policies": "a",
    "disallowed_policies": "b",
    "orphan": True,
    "path_suffix": "s",
    "renewable": False,
    "token_period": 5,
    "token_num_uses": 3,
    "allowed_entity_aliases": "x",
    "token_bound_cidrs": "10.0.0.0/8",
}
TUNED: Mapping[str, object] = {
    "description": "d",
    "default_lease_ttl": "5m",
    "audit_non_hmac_request_keys": "x",
    "passthrough_request_headers": "y",
    "listing_visibility": "unauth",
}


def emptied(
    where: str, full: Mapping[str, object], words: str = "", pick: Sequence[str] = (), /, **beside: object
) -> Sequence[Step]:
    """Writes each field and then sends it as null; `words` is the field whose refusal has other words here.

    `pick` is what is compared of what is read after that.
    """
    return [
        one
        for name in full
        for one in (
            post(where, full),
            post(where, {**beside, name: None}, divergence="DV-02" if name == words else ""),
            get(where, pick=pick),
        )
    ]


NULLS = [
    mount("nulls-jwt"),
    *emptied("auth/nulls-jwt/role/r", JWT, "callback_mode", role_type="jwt"),
    delete("sys/auth/nulls-jwt"),
    mount("nulls-users", "userpass"),
    *emptied("auth/nulls-users/users/u", USER),
    delete("sys/auth/nulls-users"),
    *emptied("auth/token/roles/nulls", TOKEN_ROLE),
    delete("auth/token/roles/nulls"),
    post("sys/mounts/nulls-kv", {"type": "kv"}),
    *emptied("sys/mounts/nulls-kv/tune", TUNED),
    delete("sys/mounts/nulls-kv"),
]

SCENARIOS = [Scenario("http", "nulls", NULLS)]

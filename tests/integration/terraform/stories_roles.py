# SPDX-License-Identifier: EUPL-1.2
"""Lives of auth methods, their roles and users, of logins and tokens."""

from collections.abc import Callable, Mapping, Sequence

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.certificates import authority
from tests.integration.terraform.calls import Client
from tests.integration.terraform.model import State
from tests.integration.terraform.roles import (
    APPROLE_ROLE,
    CERT_ROLE,
    JWT_ROLE,
    KUBERNETES_CONFIG,
    KUBERNETES_ROLE,
    TOKEN_ROLE,
    USERPASS_USER,
    JwtMount,
    SecretId,
)
from tests.integration.terraform.stories import Known, Story, deleted, wrote
from tests.integration.terraform.stories_secrets import enabled
from tests.integration.terraform.system import AppRoleLogin, Token

_TOKENS: State = {
    "token_policies": ["one", "two"],
    "token_ttl": 600,
    "token_max_ttl": 1200,
    "token_bound_cidrs": ["127.0.0.1/32", "10.0.0.0/8"],
    "token_num_uses": 7,
    "token_explicit_max_ttl": 3600,
    "token_no_default_policy": True,
}
"""What a role may say of its tokens, all but periods and types."""
_FEWER: State = {"token_policies": ["two", "three"], "token_period": 60, "token_type": "service"}
"""A role that says less, and other things."""
_PERIOD = {"token_period": 3600}


_BARE: State = {"token_bound_cidrs": ["127.0.0.1", "10.0.0.0/8"]}
"""For what does not write an address as a network: the server answers with the address."""
_ACCESSOR = {"secret-id-accessor/lookup": "DV-38"}
_JWT_ROLE = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["app", "other"]}


def _theirs(path: str) -> State:
    """Somebody else's change to a role's tokens."""
    return {
        "drift": wrote(path, {"token_policies": "theirs", "token_ttl": 5}),
        "drifted": ("token_policies", "token_ttl"),
    }


def _key() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode().strip()


_KEYS = [_key(), _key()]
CERTIFICATE = authority("terraform").pem


def approle(path: str) -> Callable[[Client], Known]:
    """Enables AppRole with a role `app`; knows its role id."""

    def needs(client: Client) -> Known:
        known = enabled(path, "approle")(client)
        client.write(f"auth/{path}/role/app", {"token_policies": ["one"], "secret_id_ttl": 600})
        found = client.read(f"auth/{path}/role/app/role-id")
        made = client.write(f"auth/{path}/role/app/secret-id")
        assert found is not None
        assert made is not None
        return {**known, "role_id": found["data"]["role_id"], "secret_id": made["data"]["secret_id"]}

    return needs


_BASE = {"backend": "tf-secret-ids", "role_name": "app"}
_JWT: Mapping[str, State] = {
    "first": {
        "path": "tf-jwt",
        "jwt_validation_pubkeys": [_KEYS[0]],
        "bound_issuer": "https://issuer.example",
    },
    "second": {
        "path": "tf-jwt",
        "jwt_validation_pubkeys": _KEYS,
        "jwt_supported_algs": ["ES256", "RS256"],
        "bound_issuer": "https://other.example",
        "default_role": "app",
        "tune": {"default_lease_ttl": "1h", "max_lease_ttl": "2h", "token_type": "batch"},
    },
}

STORIES: Sequence[Story] = (
    Story(
        resource=APPROLE_ROLE,
        needs=enabled("tf-approle", "approle"),
        first={"backend": "tf-approle", "role_name": "app", **_TOKENS},
        second={
            "backend": "tf-approle",
            "role_name": "app",
            **_FEWER,
            "role_id": "tf-chosen",
            "secret_id_num_uses": 3,
            "secret_id_ttl": 900,
            "secret_id_bound_cidrs": ["127.0.0.0/8"],
        },
        **_theirs("auth/tf-approle/role/app"),
    ),
    Story(
        resource=APPROLE_ROLE,
        note="without secret ids, from one address",
        needs=enabled("tf-approle-bare", "approle"),
        first={
            "backend": "tf-approle-bare",
            "role_name": "bare",
            "bind_secret_id": False,
            "token_bound_cidrs": ["127.0.0.1"],
            "token_type": "batch",
            "token_ttl": 60,
        },
        unimported=("token_bound_cidrs",),
    ),
    Story(
        resource=SecretId(),
        needs=approle("tf-secret-ids"),
        first={**_BASE, "metadata": '{"who": "app"}', "cidr_list": ["10.0.0.0/8"], "ttl": 300, "num_uses": 4},
        imports=False,
        divergences=_ACCESSOR,
    ),
    Story(
        resource=SecretId(),
        note="chosen",
        needs=approle("tf-secret-ids-chosen"),
        first={
            "backend": "tf-secret-ids-chosen",
            "role_name": "app",
            "secret_id": "correct-horse",
            "ttl": 60,
        },
        imports=False,
        divergences=_ACCESSOR,
    ),
    Story(
        resource=SecretId(),
        note="wrapped",
        needs=approle("tf-secret-ids-wrapped"),
        first={"backend": "tf-secret-ids-wrapped", "role_name": "app", "wrapping_ttl": "60s", "num_uses": 1},
        imports=False,
    ),
    Story(
        resource=SecretId(),
        note="wrapped, found by its own accessor",
        needs=approle("tf-secret-ids-inside"),
        first={
            "backend": "tf-secret-ids-inside",
            "role_name": "app",
            "wrapping_ttl": "60s",
            "with_wrapped_accessor": True,
            "ttl": 60,
        },
        imports=False,
        divergences=_ACCESSOR,
    ),
    Story(
        resource=SecretId(),
        note="its role is gone",
        needs=approle("tf-secret-ids-orphaned"),
        first={"backend": "tf-secret-ids-orphaned", "role_name": "app", "ttl": 60},
        imports=False,
        divergences={"secret-id-accessor/lookup": "DV-07"},
        remove=deleted("auth/tf-secret-ids-orphaned/role/app"),
        again=False,
    ),
    Story(
        resource=AppRoleLogin(),
        needs=approle("tf-login"),
        first=lambda known: {
            "backend": "tf-login",
            "role_id": known["role_id"],
            "secret_id": known["secret_id"],
        },
        imports=False,
    ),
    Story(
        resource=JwtMount(),
        first=_JWT["first"],
        second=_JWT["second"],
        drift=wrote(
            "auth/tf-jwt/config",
            {"jwt_validation_pubkeys": _KEYS[:1], "bound_issuer": "https://theirs.example"},
        ),
        drifted=("bound_issuer",),
    ),
    Story(
        resource=JWT_ROLE,
        needs=enabled("tf-jwt-role", "jwt"),
        first={
            "backend": "tf-jwt-role",
            "role_name": "app",
            **_JWT_ROLE,
            **_TOKENS,
        },
        second={
            "backend": "tf-jwt-role",
            "role_name": "app",
            "role_type": "jwt",
            "user_claim": "/who/name",
            "user_claim_json_pointer": True,
            "bound_audiences": ["app"],
            "bound_claims": {"team": "a,b", "site": "paris"},
            "bound_claims_type": "glob",
            "claim_mappings": {"email": "mail"},
            "groups_claim": "groups",
            "bound_subject": "someone",
            "clock_skew_leeway": 5,
            "expiration_leeway": 6,
            "not_before_leeway": 7,
            "verbose_oidc_logging": True,
            **_FEWER,
        },
        sticky=("bound_subject", "claim_mappings", "groups_claim"),
        drift=wrote(
            "auth/tf-jwt-role/role/app", {**_JWT_ROLE, "token_policies": "theirs", "user_claim": "theirs"}
        ),
        drifted=("token_policies", "user_claim"),
    ),
    Story(
        resource=JWT_ROLE,
        note="oidc",
        needs=enabled("tf-oidc-role", "oidc"),
        first={
            "backend": "tf-oidc-role",
            "role_name": "app",
            "role_type": "oidc",
            "user_claim": "sub",
            "allowed_redirect_uris": ["http://localhost:8250/oidc/callback"],
            "oidc_scopes": ["openid", "email"],
            "max_age": 600,
        },
        second={
            "backend": "tf-oidc-role",
            "role_name": "app",
            "role_type": "oidc",
            "user_claim": "email",
            "allowed_redirect_uris": ["http://localhost:8250/oidc/callback", "https://app.example/cb"],
            "oidc_scopes": ["openid"],
            "max_age": 60,
        },
    ),
    Story(
        resource=KUBERNETES_CONFIG,
        needs=enabled("tf-kubernetes", "kubernetes"),
        first={
            "backend": "tf-kubernetes",
            "kubernetes_host": "https://127.0.0.1:6443",
            "kubernetes_ca_cert": CERTIFICATE,
            "disable_local_ca_jwt": True,
        },
        second={
            "backend": "tf-kubernetes",
            "kubernetes_host": "https://127.0.0.1:7443",
            "kubernetes_ca_cert": CERTIFICATE,
            "disable_local_ca_jwt": True,
            "pem_keys": _KEYS[:1],
            "token_reviewer_jwt": "a.b.c",
            "issuer": "https://issuer.example",
        },
        lasts=True,
    ),
    Story(
        resource=KUBERNETES_ROLE,
        needs=enabled("tf-kubernetes-role", "kubernetes"),
        first={
            "backend": "tf-kubernetes-role",
            "role_name": "app",
            "bound_service_account_names": ["app"],
            "bound_service_account_namespaces": ["default", "other"],
            **_TOKENS,
        },
        second={
            "backend": "tf-kubernetes-role",
            "role_name": "app",
            "bound_service_account_names": ["*"],
            "bound_service_account_namespaces": ["default"],
            "audience": "vault",
            "alias_name_source": "serviceaccount_name",
            **_FEWER,
        },
        **_theirs("auth/tf-kubernetes-role/role/app"),
    ),
    Story(
        resource=CERT_ROLE,
        needs=enabled("tf-cert", "cert"),
        first={"backend": "tf-cert", "name": "app", "certificate": CERTIFICATE, **_TOKENS},
        second={
            "backend": "tf-cert",
            "name": "app",
            "certificate": CERTIFICATE,
            "display_name": "App",
            "allowed_names": ["app.example"],
            "allowed_common_names": ["app", "*.example"],
            "allowed_dns_sans": ["*.example"],
            "allowed_email_sans": ["a@example"],
            "allowed_uri_sans": ["spiffe://example/*"],
            "allowed_organizational_units": ["team"],
            "required_extensions": ["1.2.3.4:*"],
            **_FEWER,
        },
        imports=False,
        **_theirs("auth/tf-cert/certs/app"),
    ),
    Story(
        resource=USERPASS_USER,
        needs=enabled("tf-userpass", "userpass"),
        first={"mount": "tf-userpass", "username": "ann", "password_wo": "correct-horse", **_TOKENS, **_BARE},
        second={"mount": "tf-userpass", "username": "ann", "password_wo": "battery-staple", **_FEWER},
        unimported=("password_wo",),
        **_theirs("auth/tf-userpass/users/ann"),
    ),
    Story(
        resource=TOKEN_ROLE,
        first={
            "role_name": "tf-role",
            "allowed_policies": ["one"],
            "orphan": True,
            "token_bound_cidrs": ["127.0.0.1/32", "10.0.0.0/8"],
            "token_explicit_max_ttl": 3600,
            "token_num_uses": 7,
            "token_no_default_policy": True,
        },
        second={
            "role_name": "tf-role",
            "allowed_policies_glob": ["app-*"],
            "disallowed_policies": ["two"],
            "disallowed_policies_glob": ["admin-*"],
            "allowed_entity_aliases": ["one", "two-*"],
            "renewable": False,
            "path_suffix": "suffix",
            "token_period": 60,
            "token_type": "service",
        },
        drift=wrote("auth/token/roles/tf-role", {"orphan": False}),
        drifted=("orphan",),
    ),
    Story(
        resource=TOKEN_ROLE,
        note="with what such roles have not",
        first={"role_name": "tf-role-more", "token_policies": ["one"], "token_ttl": 60, "token_max_ttl": 90},
        second={"role_name": "tf-role-more", "token_policies": ["two"], "token_ttl": 70, "token_max_ttl": 80},
        unread=("token_policies", "token_ttl", "token_max_ttl"),
    ),
    Story(
        resource=Token(),
        first={
            "policies": ["one", "two"],
            "ttl": "600s",
            "display_name": "app",
            "metadata": {"who": "app"},
            "num_uses": 9,
            "renewable": True,
        },
        unimported=("ttl",),
    ),
    Story(
        resource=Token(),
        note="wrapped, without a parent",
        first={"policies": ["one"], "no_parent": True, "period": "1h", "wrapping_ttl": "60s"},
        imports=False,
    ),
    Story(
        resource=Token(),
        note="renewed by each read",
        first={
            "policies": ["one"],
            "ttl": "60s",
            "renewable": True,
            "renew_min_lease": 600,
            "renew_increment": 90,
        },
        imports=False,
    ),
    Story(
        resource=Token(),
        note="with a role",
        needs=lambda client: {"made": client.write("auth/token/roles/tf-with-role", {"orphan": True})},
        first={"role_name": "tf-with-role", "policies": ["one"], "ttl": "60s", "no_default_policy": True},
        imports=False,
    ),
)

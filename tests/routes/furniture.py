# SPDX-License-Identifier: EUPL-1.2
"""What an application is given so that requests get far: something called `x` of every kind, and fields that fit."""

import datetime as dt
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tests.routes.driver import Application
from tests.ssh_keys import ed25519_pair, public_line

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@cache
def certificate() -> tuple[str, str]:
    """A certificate that signs itself, and its public key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    begins = dt.datetime(2026, 1, 1)  # noqa: DTZ001 -- compared with naive ones by the library
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins)
        .not_valid_after(begins + dt.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    spelled = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.public_bytes(Encoding.PEM).decode(), spelled.decode()


def _bases() -> Mapping[str, Mapping[str, Any]]:
    cert, key = certificate()
    who = {"role": "x", "role_id": "x", "client_id": "x", "grant_type": "client_credentials"}
    return {
        "login": who,
        "cel/login": who,
        "oauth2/token": who,
        "oidc/auth_url": {"role": "x", "redirect_uri": "http://localhost:8250/oidc/callback"},
        "config": {
            "jwt_validation_pubkeys": [key],
            "kubernetes_host": "https://192.0.2.1",
            "kubernetes_ca_cert": cert,
        },
        "role/{name:word}": {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["x"],
            "bound_service_account_names": ["x"],
            "bound_service_account_namespaces": ["x"],
        },
        "cel/role/{name:word}": {"cel_program": {"expression": "true"}, "bound_audiences": "a"},
        "certs/{name:word}": {"certificate": cert},
        "users/{username:word}": {"password_hash": ""},
        "identity/entity-alias": {"name": "x", "mount_accessor": "x"},
        "mfa/method/totp": {"issuer": "x"},
        "mfa/login-enforcement/{name:word}": {"mfa_method_ids": [UNKNOWN], "auth_method_types": ["userpass"]},
        "oidc/key/{name:word}": {"algorithm": "ES256"},
        "oidc/role/{name:word}": {"key": "x"},
        "oidc/client/{name:word}": {"key": "x"},
        "config/ca": {"key_type": "ed25519"},
        "issuers/import": {"key_type": "ed25519"},
        "issuers/import/{issuer_name:word}": {"key_type": "ed25519"},
        "issue/{role:name}": {"key_type": "ed25519", "valid_principals": "x"},
        "sign/{role:name}": {"public_key": public_line(ed25519_pair("x")), "valid_principals": "x"},
        "roles/{role:name}": {"key_type": "ca", "allow_user_certificates": True},
        "creds/{role:name}": {"ip": "192.0.2.1"},
        "keys/{name:word}": {"generate": True, "issuer": "x", "account_name": "x"},
        "quotas/rate-limit/{name:name}": {"rate": 100000},
        "workloads/{name:name}": {"owner": "x", "ttl": "30d"},
        "registrations/{name:name}": {"workload": "x", "policies": "x"},
        "mounts/{path:path}": {"type": "kv"},
        "auth/{path:path}": {"type": "userpass"},
        "remount": {"from": "nothing", "to": "nowhere"},
        "capabilities": {"token": "root"},
    }


BASES = _bases()
"""Fields that fit, by the template of a route, put beside what is tried."""


def furnish(application: Application) -> None:
    """Make something called `x` wherever a request looks for it, and let tokens be verified."""
    _, key = certificate()
    for path, body in (
        ("sys/policies/password/x", {"policy": 'length = 20\nrule "charset" { charset = "abcdefgh" }'}),
        ("sys/namespaces/x", {}),
        ("auth/jwt/config", {"jwt_validation_pubkeys": [key]}),
        ("auth/jwt/role/x", BASES["role/{name:word}"]),
        ("auth/jwt/cel/role/x", BASES["cel/role/{name:word}"]),
        ("auth/kubernetes/role/x", BASES["role/{name:word}"]),
        ("auth/cert/certs/x", BASES["certs/{name:word}"]),
        ("auth/token/roles/x", {}),
        ("identity/entity", {"name": "x", "metadata": {"a": "b"}}),
        ("identity/group", {"name": "x"}),
        ("identity/oidc/key/x", {"algorithm": "ES256"}),
        ("identity/oidc/role/x", {"key": "x"}),
        ("identity/oidc/client/x", {"key": "x", "redirect_uris": ["https://a.test/"]}),
        ("identity/oidc/provider/x", {}),
        ("totp/keys/x", BASES["keys/{name:word}"]),
        ("transit/keys/x", {}),
        ("ssh/config/ca", {"key_type": "ed25519"}),
        ("ssh/issuers/import/x", {"key_type": "ed25519"}),
        ("ssh/roles/x", {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "*"}),
        ("nhi/keys", {}),
        ("nhi/workloads/x", BASES["workloads/{name:name}"]),
        ("nhi/registrations/x", BASES["registrations/{name:name}"]),
        ("secret/metadata/x", {"custom_metadata": {"a": "b"}}),
        ("sys/policies/acl/holder", {"policy": _holders_policy()}),
        ("auth/userpass/users/holder", {"password": "holder", "token_policies": ["holder"]}),
    ):  # fmt: skip
        answer = application.request("POST", f"/v1/{path}", dict(body), token="root")
        assert answer.status < 300, (path, answer.body)


def _holders_policy() -> str:
    """Rules such as teams have: their own places by template, globs, segments, bounds on parameters; and all else."""
    kinds = ("secret", "plain", "cubbyhole", "identity", "sys", "auth", "totp", "nhi", "kv", "transit", "ssh")
    bounded = '{ capabilities = [%s] denied_parameters = { "never" = [] "ttl" = ["never*", "9999*"] "x" = ["*-no"] } }'
    everything = '"create", "read", "update", "patch", "delete", "list", "scan"'
    own = [
        f'path "{kind}/data/{place}" {{ capabilities = ["create", "read", "update", "list"] }}'
        for kind in kinds
        for place in (
            "people/{{identity.entity.name}}/*",
            "{{identity.entity.id}}/+/shared",
            "teams/+/+/public/*",
        )
    ]
    open_ = [f'path "{kind}/*" {bounded % everything}' for kind in (*kinds, "sys/log")]
    few = [
        'path "secret/data/a/*" { capabilities = ["create", "update"] required_parameters = ["data"] }',
        'path "secret/+/locked/*" { capabilities = ["deny"] }',
        'path "auth/approle/role/+/limited" { capabilities = ["update"] allowed_parameters = { "ttl" = ["1h", "2h"] } }',
        'path "auth/token/lookup-self" { capabilities = ["create", "read", "update"] }',
        'path "sys/wrapping/short" { capabilities = ["update"] min_wrapping_ttl = "1m" max_wrapping_ttl = "1h" }',
        'path "secret/metadata/pages/*" { capabilities = ["list"] pagination_limit = 100 }',
        f'path "+/*" {bounded % everything}',
        f'path "*" {bounded % everything}',
    ]
    return "\n".join([*own, *open_, *few])


def log_in(application: Application) -> str:
    """Return a new token of somebody who is no operator: an entity, and a policy of a few dozen rules."""
    answer = application.request("POST", "/v1/auth/userpass/login/holder", {"password": "holder"})
    assert answer.status == 200, answer.body
    token: str = answer.json()["auth"]["client_token"]
    return token


def seal(application: Application) -> None:
    """Seal the vault, if it is not."""
    if not application.vault.ground.barrier.sealed:
        answer = application.request("PUT", "/v1/sys/seal", token="root")
        assert answer.status == 204, answer.body

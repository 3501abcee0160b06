# SPDX-License-Identifier: EUPL-1.2
"""A vault with something of every kind, made over the API of whichever server it is, for tests that move it."""

import json
import random
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

SECRET = "s3cr3t-"
"""What every value of a secret begins with: found on no disk and in no output."""


@dataclass
class Api:
    """A server and a token for it."""

    address: str
    token: str = field(repr=False)
    namespace: str = ""

    def within(self, namespace: str) -> "Api":
        """The same server in a namespace of it, which is made."""
        self("POST", f"sys/namespaces/{namespace}", {})
        return Api(self.address, self.token, namespace)

    def __call__(self, method: str, path: str, body: object = None, *, missing: bool = False) -> Any:
        """What it answers; {} where nothing is, and `missing` allows that. Bytes are sent as they are."""
        request = urllib.request.Request(
            f"{self.address}/v1/{path}",
            method=method,
            headers={
                "X-Vault-Token": self.token,
                "Content-Type": "application/json",
                "X-Vault-Namespace": self.namespace,
            },
            data=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if error.code == 400 and "Upgrading from non-versioned" in text:  # it was mounted a moment ago
                time.sleep(0.1)
                return self(method, path, body, missing=missing)
            if error.code == 404 and missing:
                return {}
            raise AssertionError(f"{method} {path}: {error.code} {text}") from None


def build(api: Api, *, secrets: int, policies: int = 10, seed: int = 0) -> None:
    """Fill a server. `secrets` are spread over version 1 and 2, folders, and a namespace."""
    chance = random.Random(seed)
    _mounts(api)
    for number in range(policies):
        api("POST", f"sys/policies/acl/p{number}", {"policy": _policy(chance, number)})
    _methods(api)
    _identity(api)
    api("POST", "sys/namespaces/team", {"custom_metadata": {"owner": "payments"}})
    api("POST", "team/sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    api("POST", "team/sys/policies/acl/inner", {"policy": 'path "kv/data/*" { capabilities = ["read"] }'})
    api(
        "POST",
        "sys/policies/password/long",
        {"policy": 'length = 30\nrule "charset" { charset = "abcdef0123" }'},
    )
    if not api.namespace:
        api("POST", "sys/quotas/rate-limit/wide", {"rate": 100000.5, "path": "secret/"})
    for number in range(secrets):
        base = ("secret/", "secret/", "secret/", "team/kv/", "old/")[number % 5]
        if base == "old/":
            api("POST", f"old/app{number % 7}/s{number}", {"password": f"{SECRET}{number}", "n": number})
        else:
            versions(api, base, f"app{number % 7}/s{number}", chance)
    special(api)


def special(api: Api) -> None:
    """Secrets of which each is another case."""
    for number in range(14):  # more versions than are kept
        api("POST", "secret/data/many", {"data": {"v": f"{SECRET}{number}"}})
    api("POST", "secret/metadata/settings-alone", {"custom_metadata": {"a": "b"}, "cas_required": True})
    api("POST", "secret/metadata/ends", {"delete_version_after": "3h"})
    api("POST", "secret/data/ends", {"data": {"v": SECRET}})
    for name in ("a space", "käse", "per%cent", "q?m&x=#y", "plus+", "dots..", "both"):
        api(
            "POST",
            f"secret/data/odd/{urllib.parse.quote(name)}",
            {"data": {name: [SECRET, None, True, 1.5, {}]}},
        )
    api("POST", "secret/data/odd/both/below", {"data": {"v": SECRET}})
    api("POST", "secret/data/deleted", {"data": {"v": SECRET}})
    api("DELETE", "secret/data/deleted")
    api("POST", "secret/metadata/few", {"max_versions": 2})
    for number in range(4):
        api("POST", "secret/data/few", {"data": {"v": number, "big": 12345678901234567890}})
    api("POST", "secret/metadata/few", {"max_versions": 0, "custom_metadata": {"k": "v"}})


def versions(api: Api, base: str, key: str, chance: random.Random) -> None:
    """Write a secret with some versions, and delete or destroy some of them."""
    number = chance.randrange(1, 5)
    for version in range(1, number + 1):
        api("POST", f"{base}data/{key}", {"data": {"password": f"{SECRET}{key}-{version}"}})
    state = chance.randrange(6)
    if state == 0:
        api("POST", f"{base}delete/{key}", {"versions": [chance.randrange(1, number + 1)]})
    elif state == 1:
        api("PUT", f"{base}destroy/{key}", {"versions": [chance.randrange(1, number + 1)]})
    elif state == 2:
        api("POST", f"{base}metadata/{key}", {"custom_metadata": {"owner": key}, "max_versions": 20})


def _mounts(api: Api) -> None:
    if api.namespace:
        api("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    api("POST", "sys/mounts/old", {"type": "kv", "description": "of before", "options": {"version": "1"}})
    api("POST", "sys/mounts/ssh", {"type": "ssh", "config": {"max_lease_ttl": "4h"}})
    api("POST", "ssh/roles/otp", {"key_type": "otp", "default_user": "ubuntu", "cidr_list": "10.0.0.0/8"})
    api(
        "POST", "ssh/roles/ca",
        {
            "key_type": "ca", "allow_user_certificates": True, "allowed_users": "ubuntu", "ttl": "30m",
            "default_extensions": {"permit-pty": ""}, "algorithm_signer": "rsa-sha2-256",
        },
    )  # fmt: skip
    api("POST", "secret/config", {"max_versions": 12})


def _policy(chance: random.Random, number: int) -> str:
    verbs = ["create", "read", "update", "patch", "delete", "list", "sudo", "deny"]
    rules = []
    for _ in range(chance.randrange(1, 5)):
        path = "/".join(
            chance.choice(["secret", "data", "app", "db", "+", f"team{number}"])
            for _ in range(chance.randrange(1, 5))
        )
        path += chance.choice(["", "/*", "*"][: 2 if path.endswith("+") else 3])
        chosen = ", ".join(f'"{verb}"' for verb in chance.sample(verbs, chance.randrange(1, 4)))
        rules.append(f'path "{path}" {{\n  capabilities = [{chosen}]\n}}')
    return "\n".join(rules)


def _methods(api: Api) -> None:
    for kind in ("approle", "userpass", "jwt", "kubernetes", "cert"):
        api("POST", f"sys/auth/{kind}", {"type": kind})
    api(
        "POST", "sys/auth/corp",
        {"type": "oidc", "description": "people", "config": {"default_lease_ttl": "1h", "listing_visibility": "unauth"}},
    )  # fmt: skip
    api(
        "POST", "auth/approle/role/ci",
        {"token_policies": ["p1"], "token_ttl": "20m", "secret_id_num_uses": 3, "token_bound_cidrs": ["10.0.0.0/8"]},
    )  # fmt: skip
    api("POST", "auth/approle/role/ci/secret-id", {})
    api("POST", "auth/approle/role/open", {"bind_secret_id": False, "token_bound_cidrs": ["10.0.0.0/8"]})
    api(
        "POST",
        "auth/userpass/users/ann",
        {"password": f"{SECRET}ann", "token_policies": ["p2"], "token_ttl": "5m"},
    )
    public, certificate = keys()
    api(
        "POST",
        "auth/jwt/config",
        {"jwt_validation_pubkeys": [public], "bound_issuer": "https://issuer.example"},
    )
    api(
        "POST", "auth/jwt/role/app",
        {
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["a"], "bound_claims": {"x": "y"},
            "claim_mappings": {"a": "b"}, "token_policies": ["p3"],
        },
    )  # fmt: skip
    api(
        "POST",
        "auth/kubernetes/config",
        {"kubernetes_host": "https://k.example:6443", "kubernetes_ca_cert": certificate},
    )
    api(
        "POST", "auth/kubernetes/role/pod",
        {
            "bound_service_account_names": ["a"], "bound_service_account_namespaces": ["b"],
            "audience": "vault", "token_policies": ["p4"],
        },
    )  # fmt: skip
    api("POST", "auth/cert/certs/web", {"certificate": certificate, "allowed_common_names": ["x.example"]})
    api("POST", "auth/token/roles/short", {"allowed_policies": ["p1"], "orphan": True, "token_period": "1h"})


def _identity(api: Api) -> None:
    methods = api("GET", "sys/auth")["data"]
    api("POST", "identity/entity", {"name": "ann", "metadata": {"team": "x"}, "policies": ["p1"]})
    id_ = api("GET", "identity/entity/name/ann")["data"]["id"]
    accessor = methods["userpass/"]["accessor"]
    api(
        "POST", "identity/entity-alias",
        {"name": "ann", "canonical_id": id_, "mount_accessor": accessor, "custom_metadata": {"k": "v"}},
    )  # fmt: skip
    inner = api("POST", "identity/group", {"name": "z-inner", "member_entity_ids": [id_], "policies": ["p2"]})
    api("POST", "identity/group", {"name": "a-outer", "member_group_ids": [inner["data"]["id"]]})
    outside = api("POST", "identity/group", {"name": "staff", "type": "external", "policies": ["p3"]})
    api(
        "POST", "identity/group-alias",
        {"name": "people", "canonical_id": outside["data"]["id"], "mount_accessor": methods["corp/"]["accessor"]},
    )  # fmt: skip
    template = f"{{{{identity.entity.aliases.{accessor}.name}}}}"
    group = f"{{{{identity.groups.ids.{inner['data']['id']}.name}}}}"
    text = f'path "secret/data/{template}/*" {{ capabilities = ["read"] }}\n'
    api(
        "POST",
        "sys/policies/acl/own",
        {"policy": text + f'path "secret/data/{group}" {{ capabilities = ["list"] }}\n'},
    )


def keys() -> tuple[str, str]:
    """A public key, and a certificate of an authority."""
    curve = ["-pkeyopt", "ec_paramgen_curve:P-256"]
    key = subprocess.run(["openssl", "genpkey", "-algorithm", "EC", *curve], check=True, capture_output=True)
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=key.stdout, check=True, capture_output=True)
    words = ["openssl", "req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=x.example", "-days", "30"]
    certificate = subprocess.run(words, input=key.stdout, check=True, capture_output=True)
    return public.stdout.decode(), certificate.stdout.decode()

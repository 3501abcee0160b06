# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.corpus.make COMMIT…``: has the server of each commit write a database, for `test_corpus.py`.

Each is filled with all that the commit's server takes of what `_fill` asks for, and kept beside what must stay true of
it at the moment when it was made: Biscuits end within a day, and nothing else within a hundred years. Run it when a kind of stored record gets another version, with the last
commit that wrote the one before.
"""

import json
import lzma
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.corpus.client import Client, serving
from tests.house.tree import ROOT

DATABASES = Path(__file__).with_name("databases")
_AGES = "876000h"
_DAY = "24h"
"""The longest that a Biscuit lasts."""
_POLICY = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo", "patch"] }'


class Facts:
    """Does what is asked where the server takes it, and keeps what must stay true."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.made: list[str] = []
        self.left: list[str] = []
        self.checks: list[dict[str, Any]] = []
        self.refused: list[str] = []
        """Tokens that were revoked."""

    def make(self, what: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Write something; None where the server does not take it."""
        status, answer = self.client(method, path, body, **more)
        (self.made if status < 300 else self.left).append(what)
        return answer if status < 300 else None

    def check(self, method: str, path: str, *fields: str, body: Any = None, **more: Any) -> bool:
        """Keep what an answer says, of its `data` those fields that are named or all; tell whether it says anything."""
        status, answer = self.client(method, path, body, **more)
        if status < 300:
            data = (answer or {}).get("data") or {}
            expected = {name: data[name] for name in fields or data if name in data}
            self.checks.append({"method": method, "path": path, "body": body, "data": expected, **more})
        return status < 300

    def token(self, what: str, path: str, body: Any, **more: Any) -> str:
        """Make a token, and keep that it is one and what it says of itself; "" where there is none."""
        answer = self.make(what, "POST", path, body, **more)
        if answer is None:
            return ""
        secret = str(answer["auth"]["client_token"])
        assert self.look(secret, more.get("namespace", ""), what), f"{what}: is not good for anything"
        if accessor := answer["auth"].get("accessor"):
            where = {"namespace": more["namespace"]} if "namespace" in more else {}
            self.check("POST", "auth/token/lookup-accessor", "policies", body={"accessor": accessor}, **where)
        return secret

    def wait(self, what: str, path: str, data: Mapping[str, Any], **more: Any) -> None:
        """Have an answer with these data wait for whoever unwraps it, and keep that it does."""
        wrapped = self.make(what, "GET", path, wrap=_AGES, **more)
        if wrapped is not None:
            secret = wrapped["wrap_info"]["token"]
            self.checks.append(
                {
                    "method": "POST",
                    "path": "sys/wrapping/unwrap",
                    "body": {},
                    "token": secret,
                    "data": data,
                    **more,
                }
            )

    def forget(self, secret: str) -> None:
        """Keep nothing of a token."""
        self.checks = [check for check in self.checks if check.get("token") != secret]

    def look(self, secret: str, namespace: str = "", what: str = "") -> bool:
        """Keep what a token says of itself; tell whether it does."""
        fields = (
            "policies",
            "display_name",
            "orphan",
            "entity_id",
            "num_uses",
            "meta",
            "path",
            "type",
            "period",
        )
        limited = "uses" in what
        return self.check(
            "GET",
            "auth/token/lookup-self",
            *(field for field in fields if not limited or field != "num_uses"),
            token=secret,
            namespace=namespace,
        )


def _fill(facts: Facts) -> None:
    make, check = facts.make, facts.check
    make("policy", "PUT", "sys/policies/acl/all", {"policy": _POLICY})
    check("GET", "sys/policies/acl/all", "name", "policy")
    make(
        "password policy",
        "PUT",
        "sys/policies/password/long",
        {"policy": 'length = 20\nrule "charset" { charset = "abc" }'},
    )
    check("GET", "sys/policies/password/long")
    make(
        "KV 1", "POST", "sys/mounts/one", {"type": "kv", "options": {"version": "1"}, "description": "first"}
    )
    make("KV 1 data", "PUT", "one/a/b", {"k": "v1"})
    check("GET", "one/a/b")
    make("KV 2", "POST", "sys/mounts/two", {"type": "kv", "options": {"version": "2"}})
    make("KV 2 settings", "POST", "two/config", {"max_versions": 7})
    check("GET", "two/config", "max_versions")
    for value in range(3):
        make(f"KV 2 version {value}", "POST", "two/data/a", {"data": {"n": value, "t": "é"}})
        check("GET", f"two/data/a?version={value + 1}", "data")
    make("KV 2 metadata", "POST", "two/metadata/a", {"custom_metadata": {"owner": "x"}, "max_versions": 9})
    check("GET", "two/metadata/a", "current_version", "custom_metadata", "max_versions")
    make("KV 2 destroyed", "PUT", "two/destroy/a", {"versions": [1]})
    facts.checks = [one for one in facts.checks if one["path"] != "two/data/a?version=1"]
    make("cubbyhole", "PUT", "cubbyhole/mine", {"c": "1"})
    check("GET", "cubbyhole/mine")
    make("TOTP", "POST", "sys/mounts/totp", {"type": "totp"})
    make("TOTP key", "POST", "totp/keys/k", {"generate": True, "issuer": "i", "account_name": "a"})
    check("GET", "totp/keys/k")
    _tokens(facts)
    _logins(facts)
    _identity(facts)
    _biscuits(facts)
    _rest(facts)
    _leases(facts)


def _tokens(facts: Facts) -> None:
    make, check, token = facts.make, facts.check, facts.token
    parent = token("token with a parent", "auth/token/create", {"policies": ["all"], "ttl": _AGES})
    child = token("child", "auth/token/create", {"policies": ["all"], "ttl": _AGES}, token=parent)
    token("grandchild", "auth/token/create", {"policies": ["default"], "ttl": _AGES}, token=child)
    token(
        "batch of a child",
        "auth/token/create",
        {"type": "batch", "policies": ["all"], "ttl": _AGES},
        token=child,
    )
    token("orphan", "auth/token/create-orphan", {"policies": ["all"], "ttl": _AGES, "meta": {"a": "b"}})
    token("periodic", "auth/token/create", {"policies": ["all"], "period": _AGES})
    token("limited uses", "auth/token/create", {"policies": ["all"], "num_uses": 900, "ttl": _AGES})
    token(
        "with a name",
        "auth/token/create",
        {"id": "chosen", "policies": ["all"], "ttl": _AGES, "display_name": "d"},
    )
    token("batch", "auth/token/create", {"type": "batch", "policies": ["all"], "ttl": _AGES})
    make("token role", "POST", "auth/token/roles/r", {"allowed_policies": ["all"], "orphan": True})
    check("GET", "auth/token/roles/r", "name", "orphan", "allowed_policies")
    token("of a role", "auth/token/create/r", {"policies": ["all"], "ttl": _AGES})


def _biscuits(facts: Facts) -> None:
    make, token = facts.make, facts.token
    make(
        "registration of Biscuits",
        "POST",
        "nhi/registrations/b",
        {"workload": "w", "policies": ["all"], "ttl": _DAY, "max_ttl": _DAY},
    )
    biscuit = token("Biscuit", "nhi/issue/b", {})
    if biscuit:
        token("child of a Biscuit", "auth/token/create", {"policies": ["all"], "ttl": "1h"}, token=biscuit)
        secret = make("secret of Biscuits", "POST", "nhi/registrations/b/secret", {})
        given = {"client_id": "b", "client_secret": secret["data"]["client_secret"]}
        token("Biscuit of a login", "nhi/login", given, token="")
        revoked = token("revoked Biscuit", "nhi/issue/b", {})
        facts.forget(revoked)
        make("revocation of a Biscuit", "POST", "nhi/revoke", {"token": revoked})
        facts.refused.append(revoked)


def _leases(facts: Facts) -> None:
    """Tokens, as they are listed among the leases: nothing that lends a secret is built in."""
    for prefix in ("auth/token/create", "auth/userpass/login/u"):
        _, listed = facts.client("LIST", f"sys/leases/lookup/{prefix}")
        names = ((listed or {}).get("data") or {}).get("keys", [])
        for name in names[:2]:
            facts.check(
                "PUT",
                "sys/leases/lookup",
                "id",
                "issue_time",
                "expire_time",
                body={"lease_id": f"{prefix}/{name}"},
            )


def _in_a_namespace(facts: Facts, namespace: str) -> None:
    """People, workloads and answers that wait, all of a namespace's own."""
    make, check, token = facts.make, facts.check, facts.token
    inside = {"namespace": namespace}
    long = {"token_policies": ["all"], "token_ttl": _AGES, "token_max_ttl": _AGES}
    make(f"policy in {namespace}", "PUT", "sys/policies/acl/all", {"policy": _POLICY}, **inside)
    make(f"userpass in {namespace}", "POST", "sys/auth/userpass", {"type": "userpass"}, **inside)
    user = make(
        f"userpass user in {namespace}",
        "POST",
        "auth/userpass/users/u",
        {"password": "long enough", **long},
        **inside,
    )
    if f"userpass user in {namespace}" in facts.made:
        assert user is None
        token(
            f"userpass login in {namespace}",
            "auth/userpass/login/u",
            {"password": "long enough"},
            **{**inside, "token": ""},
        )
    entity = make(
        f"entity in {namespace}", "POST", "identity/entity", {"name": "e", "policies": ["all"]}, **inside
    )
    if entity:
        check("GET", "identity/entity/name/e", "id", "name", "policies", **inside)
    make(f"nhi in {namespace}", "POST", "sys/mounts/nhi", {"type": "nhi"}, **inside)
    make(f"workload's key in {namespace}", "POST", "nhi/keys", {"algorithm": "p256"}, **inside)
    make(f"workload in {namespace}", "POST", "nhi/workloads/w", {"owner": "o", "ttl": _AGES}, **inside)
    registration = {"workload": "w", "policies": ["all"], "ttl": _DAY, "max_ttl": _DAY}
    make(f"registration in {namespace}", "POST", "nhi/registrations/b", registration, **inside)
    token(f"Biscuit in {namespace}", "nhi/issue/b", {}, **inside)
    make(f"KV 1 in {namespace}", "POST", "sys/mounts/one", {"type": "kv"}, **inside)
    make(f"KV 1 data in {namespace}", "PUT", "one/a", {"k": namespace}, **inside)
    check("GET", "one/a", **inside)
    facts.wait(f"wrapped in {namespace}", "one/a", {"k": namespace}, **inside)


def _rest(facts: Facts) -> None:
    make, check, token = facts.make, facts.check, facts.token
    make("audit device", "PUT", "sys/audit/own2", {"type": "file", "options": {"file_path": "discard"}})
    check("GET", "sys/audit", "own2/")
    make("namespace", "POST", "sys/namespaces/team")
    inside = {"namespace": "team/"}
    make("policy in a namespace", "PUT", "sys/policies/acl/all", {"policy": _POLICY}, **inside)
    make(
        "KV 2 in a namespace", "POST", "sys/mounts/two", {"type": "kv", "options": {"version": "2"}}, **inside
    )
    make("KV 2 data in a namespace", "POST", "two/data/a", {"data": {"where": "team"}}, **inside)
    check("GET", "two/data/a", "data", **inside)
    token("token in a namespace", "auth/token/create", {"policies": ["all"], "ttl": _AGES}, **inside)
    _in_a_namespace(facts, "team/")
    make("namespace in a namespace", "POST", "sys/namespaces/inner", **inside)
    _in_a_namespace(facts, "team/inner/")
    make("quota", "POST", "sys/quotas/rate-limit/q", {"rate": 100000, "path": "one/"})
    check("GET", "sys/quotas/rate-limit/q", "name", "rate", "path")
    make("CORS", "POST", "sys/config/cors", {"allowed_origins": ["https://a.example"]})
    check("GET", "sys/config/cors", "enabled", "allowed_origins")
    make("audited header", "PUT", "sys/config/auditing/request-headers/x-a", {"hmac": True})
    check("GET", "sys/config/auditing/request-headers/x-a")
    make("key rotation", "POST", "sys/rotate")
    make("KV 1 data after rotation", "PUT", "one/later", {"k": "v2"})
    check("GET", "one/later")
    facts.wait("wrapped", "one/a/b", {"k": "v1"})
    facts.look(facts.client.token)


def _logins(facts: Facts) -> None:
    make, token = facts.make, facts.token
    long = {"token_policies": ["all"], "token_ttl": _AGES, "token_max_ttl": _AGES}
    make("userpass", "POST", "sys/auth/userpass", {"type": "userpass"})
    make("userpass user", "POST", "auth/userpass/users/u", {"password": "long enough", **long})
    if "userpass user" in facts.made:
        token("userpass login", "auth/userpass/login/u", {"password": "long enough"}, token="")
        facts.check("POST", "auth/userpass/login/u", body={"password": "long enough"}, token="")
    make("approle", "POST", "sys/auth/approle", {"type": "approle"})
    make("AppRole role", "POST", "auth/approle/role/r", long)
    role = make("AppRole role id", "GET", "auth/approle/role/r/role-id")
    secret = make("AppRole secret id", "POST", "auth/approle/role/r/secret-id", {"metadata": '{"a": "b"}'})
    if role and secret:
        both = {"role_id": role["data"]["role_id"], "secret_id": secret["data"]["secret_id"]}
        token("AppRole login", "auth/approle/login", both, token="")
        facts.check("POST", "auth/approle/login", body=both, token="")
    make("jwt", "POST", "sys/auth/jwt", {"type": "jwt"})
    make(
        "JWT configuration",
        "POST",
        "auth/jwt/config",
        {"jwt_validation_pubkeys": [_PUBLIC], "bound_issuer": "i"},
    )
    make(
        "JWT role",
        "POST",
        "auth/jwt/role/r",
        {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["a"], **long},
    )
    facts.check("GET", "auth/jwt/config", "bound_issuer")
    facts.check("GET", "auth/jwt/role/r", "user_claim", "bound_audiences")
    make("cert", "POST", "sys/auth/cert", {"type": "cert"})
    make("kubernetes", "POST", "sys/auth/kubernetes", {"type": "kubernetes"})
    make(
        "Kubernetes role",
        "POST",
        "auth/kubernetes/role/r",
        {"bound_service_account_names": ["a"], "bound_service_account_namespaces": ["b"], **long},
    )
    facts.check("GET", "auth/kubernetes/role/r", "bound_service_account_names")


def _identity(facts: Facts) -> None:
    make, check = facts.make, facts.check
    entity = make(
        "entity", "POST", "identity/entity", {"name": "e", "policies": ["all"], "metadata": {"a": "b"}}
    )
    if entity:
        check("GET", "identity/entity/name/e", "id", "name", "policies", "metadata")
        auths = (facts.client("GET", "sys/auth")[1] or {}).get("data", {})
        accessor = auths.get("userpass/", {}).get("accessor", "")
        alias = {"name": "other", "canonical_id": entity["data"]["id"], "mount_accessor": accessor}
        if (made := make("alias", "POST", "identity/entity-alias", alias)) is not None:
            check("GET", f"identity/entity-alias/id/{made['data']['id']}", "name", "canonical_id")
        make("group", "POST", "identity/group", {"name": "g", "member_entity_ids": [entity["data"]["id"]]})
        check("GET", "identity/group/name/g", "id", "name", "member_entity_ids")
    make("OIDC key", "POST", "identity/oidc/key/k", {"allowed_client_ids": ["*"]})
    check("GET", "identity/oidc/key/k", "allowed_client_ids", "algorithm")
    make("OIDC role", "POST", "identity/oidc/role/r", {"key": "k"})
    check("GET", "identity/oidc/role/r", "client_id", "key")
    make("OIDC assignment", "POST", "identity/oidc/assignment/a", {"entity_ids": ["x"]})
    make(
        "OIDC client",
        "POST",
        "identity/oidc/client/c",
        {"key": "k", "redirect_uris": ["https://a.example"], "assignments": ["allow_all"]},
    )
    check("GET", "identity/oidc/client/c", "client_id", "client_secret", "redirect_uris")
    make("OIDC scope", "POST", "identity/oidc/scope/s", {"template": '{"x": {{identity.entity.name}}}'})
    check("GET", "identity/oidc/scope/s")
    make(
        "OIDC provider",
        "POST",
        "identity/oidc/provider/p",
        {"allowed_client_ids": ["*"], "scopes_supported": ["s"]},
    )
    check("GET", "identity/oidc/provider/p", "scopes_supported", "allowed_client_ids")
    method = make("MFA method", "POST", "identity/mfa/method/totp", {"issuer": "i", "method_name": "m"})
    if method:
        check("GET", f"identity/mfa/method/totp/{method['data']['method_id']}", "issuer", "name")
    make("nhi", "POST", "sys/mounts/nhi", {"type": "nhi"})
    make("workload's key", "POST", "nhi/keys", {"algorithm": "ed25519"})
    make("workload", "POST", "nhi/workloads/w", {"owner": "o", "ttl": _AGES})
    check("GET", "nhi/workloads/w", "name", "owner")
    make(
        "registration",
        "POST",
        "nhi/registrations/g",
        {"workload": "w", "policies": ["all"], "audiences": ["a"], "ttl": "1h", "max_ttl": "24h"},
    )
    check("GET", "nhi/registrations/g", "name", "workload", "policies")
    make("registration's secret", "POST", "nhi/registrations/g/secret", {})
    check("LIST", "nhi/keys")


def made_by(commit: str) -> tuple[bytes, dict[str, Any]]:
    """A database that the server of a commit wrote, and what must stay true of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = folder / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
        try:
            with serving(tree, folder, max_lease_ttl=_AGES, unsafe_allow_api_audit_creation="true") as client:
                _, made = client("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
                assert made is not None
                client("PUT", "sys/unseal", {"key": made["keys_base64"][0]})
                client.token = made["root_token"]
                facts = Facts(client)
                _fill(facts)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
        with sqlite3.connect(folder / "vault.db") as database:
            database.execute("VACUUM INTO ?", (str(folder / "whole.db"),))
        database.close()
        whole = (folder / "whole.db").read_bytes()
    when = subprocess.run(
        ["git", "show", "-s", "--format=%h %cI", commit], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return whole, {
        "commit": when.stdout.strip(),
        "key": made["keys_base64"][0],
        "root": made["root_token"],
        "moment": time.time_ns(),
        "made": facts.made,
        "left": facts.left,
        "refused": facts.refused,
        "checks": facts.checks,
    }


_PUBLIC = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""


def main() -> None:
    """Make a database for each commit that is named."""
    DATABASES.mkdir(exist_ok=True)
    for number, commit in enumerate(sys.argv[1:], len(list(DATABASES.glob("*.json"))) + 1):
        whole, facts = made_by(commit)
        name = f"{number:02}-{facts['commit'].split()[0]}"
        (DATABASES / f"{name}.db.xz").write_bytes(lzma.compress(whole, preset=9))
        (DATABASES / f"{name}.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        left = ", ".join(facts["left"])
        sys.stdout.write(f"{name}: {len(facts['made'])} made; not taken: {left}\n")


if __name__ == "__main__":
    main()

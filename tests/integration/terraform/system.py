# SPDX-License-Identifier: EUPL-1.2
"""Policies, namespaces, quotas, audit devices, and the server's own settings; tokens."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.integration.terraform.calls import Client, Refused, data
from tests.integration.terraform.entries import Entry
from tests.integration.terraform.model import (
    COMPUTED,
    FLAG,
    MAP,
    NUMBER,
    SET,
    TEXT,
    Attr,
    Data,
    Held,
    Resource,
    State,
)

_LEAVING_SECONDS = 60.0
OWN_CORS_HEADERS = frozenset({
    "Content-Type", "X-Requested-With", "X-Vault-AWS-IAM-Server-ID", "X-Vault-MFA", "X-Vault-No-Request-Forwarding",
    "X-Vault-Wrap-Format", "X-Vault-Wrap-TTL", "X-Vault-Policy-Override", "Authorization", "X-Vault-Token",
})  # fmt: skip
"""Headers that the provider takes for the server's own, whoever configured them."""


class Policy(Resource):
    """An ACL policy. One that was removed reads as an empty text, and so differs."""

    name = "vault_policy"
    schema: Mapping[str, Attr] = {"name": TEXT, "policy": TEXT}

    def create(self, client: Client, data: Data) -> str:
        client.read(f"sys/policies/acl/{data['name']}")
        return self.update(client, data["name"], data)

    def read(self, client: Client, id: str, state: State) -> State | None:
        found = client.read(f"sys/policies/acl/{id}")
        return {"name": id, "policy": data(found)["policy"] if found else ""}

    def update(self, client: Client, id: str, data: Data) -> str:
        client.write(f"sys/policies/acl/{id}", data.always("policy"))
        return id

    def delete(self, client: Client, held: Held) -> None:
        client.delete(f"sys/policies/acl/{held.id}")


class Namespace(Resource):
    """A namespace; whoever deletes it waits until it is gone."""

    name = "vault_namespace"
    schema: Mapping[str, Attr] = {
        "path": TEXT,
        "namespace_id": COMPUTED,
        "path_fq": COMPUTED,
        "custom_metadata": Attr("map", computed=True),
    }

    def create(self, client: Client, data: Data) -> str:
        client.write(f"sys/namespaces/{data['path']}", data.given("custom_metadata") or None)
        return str(data["path"])

    def read(self, client: Client, id: str, state: State) -> State | None:
        found = client.read(f"sys/namespaces/{id}")
        if found is None:
            return None
        own = {"namespace_id": data(found)["id"], "custom_metadata": data(found)["custom_metadata"]}
        return {**own, "path": id.strip("/"), "path_fq": id.strip("/")}

    def update(self, client: Client, id: str, data: Data) -> str:
        client.patch(f"sys/namespaces/{id}", data.given("custom_metadata") or None)
        return id

    def delete(self, client: Client, held: Held) -> None:
        client.delete(f"sys/namespaces/{held.id}")
        deadline = time.monotonic() + _LEAVING_SECONDS
        while client.read(f"sys/namespaces/{held.id}") is not None:
            assert time.monotonic() < deadline, f"namespace {held.id} is still there"
            client.said.pop()  # how often it has to ask is chance
            time.sleep(0.02)


_RATE = ("rate", "interval", "block_interval", "role", "inheritable", "group_by", "secondary_rate")


def _rate(data: Data) -> State:
    given = data.given("interval", "block_interval", "role", "group_by", "secondary_rate")
    return data.always("path", "rate", "inheritable") | given


class RateLimit(Entry):
    """A quota of requests. Fields that an answer does not have stay as they are."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        found = client.read(self.path.format(name=id))
        if found is None:
            return None
        names = ("path", "name", *_RATE)
        return {name: data(found)[name] for name in names if name in data(found)}


RATE_LIMIT = RateLimit(
    name="vault_quota_rate_limit",
    path="sys/quotas/rate-limit/{name}",
    id="{name}",
    schema={
        "name": TEXT,
        "path": TEXT,
        "rate": NUMBER,
        "secondary_rate": Attr("number", computed=True),
        "interval": Attr("number", computed=True),
        "block_interval": NUMBER,
        "role": TEXT,
        "inheritable": FLAG,
        "group_by": COMPUTED,
    },
    creates=_rate,
    asks_first=True,
)

_QUOTAS = (
    "rate_limit_exempt_paths", "absolute_rate_limit_exempt_paths", "enable_rate_limit_audit_logging",
    "enable_rate_limit_response_headers",
)  # fmt: skip


class QuotaConfig(Entry):
    """What no quota counts; deleting it writes what is usual."""

    def delete(self, client: Client, held: Held) -> None:
        usual: State = {name: [] if name.endswith("paths") else False for name in _QUOTAS}
        client.write(self.path, usual)


QUOTA_CONFIG = QuotaConfig(
    name="vault_quota_config",
    path="sys/quotas/config",
    schema={name: Attr("set" if name.endswith("paths") else "flag", computed=True) for name in _QUOTAS},
    creates=lambda data: data.given(*_QUOTAS),
    reads=_QUOTAS,
)


class Audit(Resource):
    """An audit device, found again in the list of all; it is never changed."""

    name = "vault_audit"
    schema: Mapping[str, Attr] = {
        "path": COMPUTED,
        "type": TEXT,
        "description": TEXT,
        "local": FLAG,
        "options": MAP,
    }
    reads_after = False

    def create(self, client: Client, data: Data) -> str:
        path = str(data["path"] or data["type"])
        client.write(f"sys/audit/{path}", data.always("type", "description", "options", "local"))
        return path

    def read(self, client: Client, id: str, state: State) -> State | None:
        found = data(client.read("sys/audit")).get(f"{id.strip('/')}/")
        if found is None:
            return None
        return {"path": id, **{name: found[name] for name in ("type", "description", "options")}}

    def delete(self, client: Client, held: Held) -> None:
        client.delete(f"sys/audit/{held.id}")


class AuditHeader(Entry):
    """A request header in the audit log. One that is not there is refused with words that the provider knows."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        try:
            found = client.read(self.path.format(name=id))
        except Refused as refused:
            if refused.status == 400 and refused.errors == ("Could not find header in config",):
                return None
            raise
        return None if found is None else {"hmac": data(found)[id]["hmac"]}


AUDIT_HEADER = AuditHeader(
    name="vault_audit_request_header",
    path="sys/config/auditing/request-headers/{name}",
    id="{name}",
    schema={"name": TEXT, "hmac": FLAG},
    creates=lambda data: data.given("hmac"),
    asks_first=True,
)

PASSWORD_POLICY = Entry(
    name="vault_password_policy",
    path="sys/policies/password/{name}",
    id="{name}",
    schema={"name": TEXT, "policy": TEXT},
    creates=lambda data: data.always("policy"),
    reads=("policy",),
    reads_after=False,
)


class Cors(Entry):
    """Which origins and headers browsers may use."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        answer = data(client.read(self.path))
        headers = [name for name in answer.get("allowed_headers") or () if name not in OWN_CORS_HEADERS]
        return {
            "enabled": answer["enabled"],
            "allowed_origins": answer.get("allowed_origins"),
            "allowed_headers": headers,
        }


CORS = Cors(
    name="vault_sys_config_cors",
    path="sys/config/cors",
    schema={"enabled": Attr("flag", computed=True), "allowed_origins": SET, "allowed_headers": SET},
    creates=lambda data: data.always("allowed_origins", "allowed_headers"),
)


class Token(Resource):
    """A token, found again by its accessor. Whatever goes wrong when it is looked up, it is taken for gone."""

    name = "vault_token"
    schema: Mapping[str, Attr] = {
        "role_name": TEXT,
        "policies": SET,
        "no_parent": Attr("flag", computed=True),
        "no_default_policy": FLAG,
        "renewable": Attr("flag", computed=True),
        "ttl": TEXT,
        "explicit_max_ttl": TEXT,
        "period": TEXT,
        "display_name": Attr(default="token"),
        "num_uses": Attr("number", computed=True),
        "metadata": MAP,
        "wrapping_ttl": TEXT,
        "client_token": COMPUTED,
        "wrapped_token": COMPUTED,
        "lease_duration": Attr("number", computed=True),
        "renew_min_lease": NUMBER,
        "renew_increment": NUMBER,
    }
    asks_first = True

    def create(self, client: Client, data: Data) -> str:
        body = data.given("policies", "ttl", "explicit_max_ttl", "period", "no_parent", "no_default_policy")
        body |= (
            data.given("renewable")
            | data.always("display_name", "num_uses")
            | {"type": "", "entity_alias": ""}
        )
        if data["metadata"]:
            body["meta"] = data["metadata"]
        role = f"/{data['role_name']}" if data["role_name"] else ""
        made = client.post(f"auth/token/create{role}", body, wrap=data["wrapping_ttl"])
        assert made is not None
        if data["wrapping_ttl"]:
            data.planned["wrapped_token"] = made["wrap_info"]["token"]
            return str(made["wrap_info"]["wrapped_accessor"])
        data.planned["client_token"] = made["auth"]["client_token"]
        return str(made["auth"]["accessor"])

    def read(self, client: Client, id: str, state: State) -> State | None:
        try:
            found = data(client.post("auth/token/lookup-accessor", {"accessor": id}))
        except Refused:
            return None
        begins, ends = (datetime.fromisoformat(found[name]) for name in ("issue_time", "expire_time"))
        lasts = int((ends - begins).total_seconds())
        left = (ends - datetime.now(UTC)).total_seconds()
        if found["renewable"] and state["client_token"] and left <= state["renew_min_lease"]:
            increment = state["renew_increment"] or lasts
            client.write("auth/token/renew", {"token": state["client_token"], "increment": increment})
        return {
            "policies": [name for name in found["policies"] if name != "default"],
            "no_parent": found["orphan"],
            "renewable": found["renewable"],
            "display_name": found["display_name"].removeprefix("token-"),
            "num_uses": found["num_uses"],
            "lease_duration": lasts,
            "metadata": found["meta"],
        }

    def delete(self, client: Client, held: Held) -> None:
        client.post("auth/token/revoke-accessor", {"accessor": held.id})


class AppRoleLogin(Resource):
    """A login with an AppRole; its state is the token. One whose token is gone is logged in again."""

    name = "vault_approle_auth_backend_login"
    schema: Mapping[str, Attr] = {
        "backend": Attr(default="approle"),
        "role_id": TEXT,
        "secret_id": TEXT,
        "policies": Attr("list", computed=True),
        "renewable": Attr("flag", computed=True),
        "lease_duration": Attr("number", computed=True),
        "metadata": Attr("map", computed=True),
        "accessor": COMPUTED,
        "client_token": COMPUTED,
    }
    asks_first = True

    def create(self, client: Client, data: Data) -> str:
        made = client.write(f"auth/{data['backend']}/login", data.always("role_id") | data.given("secret_id"))
        assert made is not None
        data.planned["client_token"] = made["auth"]["client_token"]
        return str(made["auth"]["accessor"])

    def read(self, client: Client, id: str, state: State) -> State | None:
        try:
            found = data(client.post("auth/token/lookup-accessor", {"accessor": id}))
        except Refused as refused:
            if any(text in str(refused) for text in ("invalid accessor", "failed to find accessor entry")):
                return None
            raise
        names = ("policies", "renewable", "lease_duration", "metadata", "accessor")
        return {name: found.get(name) for name in names}

    def delete(self, client: Client, held: Held) -> None:
        client.post("auth/token/revoke-accessor", {"accessor": held.id})

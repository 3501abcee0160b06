# SPDX-License-Identifier: Apache-2.0
"""A caller: one credential in one namespace, and requests as the dialect has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

from esa_conformance.binding.replies import Reply
from esa_conformance.manifest import Compat
from esa_conformance.wire.transport import Request, Transport

TOKEN_HEADER = "X-Vault-Token"  # noqa: S105 - a header's name
NAMESPACE_HEADER = "X-Vault-Namespace"
JSON = "application/json"
TOKENS = "auth/token/create"
"""Where credentials are made."""
Body = Mapping[str, object] | bytes


@dataclass(frozen=True)
class Client:
    """Asks as one caller. Paths are written as people write them; they are encoded here."""

    transport: Transport
    where: Compat
    token: str | None = field(default=None, repr=False)
    namespace: str = ""

    def using(self, token: str | None) -> Client:
        """The same place with another credential."""
        return replace(self, token=token)

    def within(self, namespace: str) -> Client:
        """The same credential in a namespace, given from the root."""
        return replace(self, namespace=namespace)

    def at(self, mount: str, prefix: str = "") -> Client:
        """The same caller at another mount of secrets."""
        return replace(self, where=replace(self.where, mount=mount, prefix=prefix))

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What every request carries."""
        made = {}
        if self.token is not None:
            made[TOKEN_HEADER] = self.token
        if self.namespace:
            made[NAMESPACE_HEADER] = self.namespace
        return {**made, **(more or {})}

    def send(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A request to a path below the base, such as `sys/health`."""
        return self.send_literal(
            method, f"{self.where.base}/{quote(path)}", body, query=query, headers=headers
        )

    def send_literal(
        self,
        method: str,
        target: str,
        body: Body | None = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A request to a target that stands on the request line as it is."""
        if query:
            target = f"{target}?{urlencode(query)}"
        sent = self.headers(headers)
        encoded: bytes | None = None
        if body is not None:
            encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", JSON)
        return Reply(self.transport.send(Request(method, target, sent, encoded)))

    # ------------------------------------------------------------------------------------- secrets
    def _kv(self, kind: str, path: str) -> str:
        return f"{self.where.mount}/{kind}/{self.where.prefix}{path}"

    def data_path(self, path: str) -> str:
        """Where the versions of a secret are, as policies name it."""
        return self._kv("data", path)

    def metadata_path(self, path: str) -> str:
        """Where a secret is described and listed, as policies name it."""
        return self._kv("metadata", path)

    def put(
        self,
        path: str,
        data: object,
        *,
        check: int | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> Reply:
        """Write a version; `check` is what must be the current one, 0 for none."""
        body: dict[str, object] = {"data": data, **(more or {})}
        if check is not None:
            body["options"] = {"cas": check}
        return self.send("POST", self.data_path(path), body, headers=headers)

    def get(
        self, path: str, *, version: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Read a version, by default the newest."""
        query = {} if version is None else {"version": version}
        return self.send("GET", self.data_path(path), query=query, headers=headers)

    def list(self, path: str, *, after: str | None = None, limit: int | None = None) -> Reply:
        """List what lies directly below a folder, which ends in a slash."""
        query = {name: value for name, value in (("after", after), ("limit", limit)) if value is not None}
        return self.send("LIST", self.metadata_path(path), query=query)

    def delete(
        self, path: str, versions: Sequence[int] = (), *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Delete the newest version, or those that are named."""
        if not versions:
            return self.send("DELETE", self.data_path(path), headers=headers)
        return self.send("POST", self._kv("delete", path), {"versions": list(versions)}, headers=headers)

    def undelete(self, path: str, versions: Sequence[int]) -> Reply:
        """Take a deletion back."""
        return self.send("POST", self._kv("undelete", path), {"versions": list(versions)})

    def destroy(
        self, path: str, versions: Sequence[int], *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Remove versions for ever."""
        return self.send("POST", self._kv("destroy", path), {"versions": list(versions)}, headers=headers)

    def remove(self, path: str, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Remove a secret with all its versions."""
        return self.send("DELETE", self.metadata_path(path), headers=headers)

    def patch(self, path: str, data: Mapping[str, object]) -> Reply:
        """Merge into the newest version."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self.send("PATCH", self.data_path(path), {"data": data}, headers=headers)

    def metadata(self, path: str) -> Reply:
        """Read what is known of a secret and its versions."""
        return self.send("GET", self.metadata_path(path))

    def describe(self, path: str, **members: object) -> Reply:
        """Write settings and custom metadata of a secret."""
        return self.send("POST", self.metadata_path(path), members)

    def subkeys(self, path: str) -> Reply:
        """Read the structure of the newest version."""
        return self.send("GET", self._kv("subkeys", path))

    # ------------------------------------------------------------------------- the server, callers
    def health(self) -> Reply:
        """Ask how the server is."""
        return self.send("GET", "sys/health")

    def capabilities(self, paths: Sequence[str]) -> Reply:
        """Ask for the rights of this credential on paths."""
        return self.send("POST", "sys/capabilities-self", {"paths": list(paths)})

    def write_policy(self, name: str, rules: Mapping[str, Sequence[str]]) -> Reply:
        """Write a policy: by path what it grants."""
        paths = {path: {"capabilities": list(rights)} for path, rights in rules.items()}
        return self.write_policy_text(name, json.dumps({"path": paths}))

    def write_policy_text(self, name: str, text: str) -> Reply:
        """Write a policy as it is."""
        return self.send("POST", f"sys/policies/acl/{name}", {"policy": text})

    def read_policy(self, name: str) -> Reply:
        """Read a policy."""
        return self.send("GET", f"sys/policies/acl/{name}")

    def remove_policy(self, name: str) -> Reply:
        """Remove a policy."""
        return self.send("DELETE", f"sys/policies/acl/{name}")

    def create_token(self, **members: object) -> Reply:
        """Have a credential made: `policies`, `ttl`, `num_uses`, `renewable`, `explicit_max_ttl`, `display_name`."""
        return self.send("POST", TOKENS, members)

    def look_up_self(self) -> Reply:
        """Read about this credential."""
        return self.send("GET", "auth/token/lookup-self")

    def renew_self(self, increment: str) -> Reply:
        """Ask for more time."""
        return self.send("POST", "auth/token/renew-self", {"increment": increment})

    def revoke_self(self) -> Reply:
        """End this credential."""
        return self.send("POST", "auth/token/revoke-self", {})

    def look_up_accessor(self, accessor: str) -> Reply:
        """Read about a credential by its accessor."""
        return self.send("POST", "auth/token/lookup-accessor", {"accessor": accessor})

    def revoke_accessor(self, accessor: str) -> Reply:
        """End a credential by its accessor."""
        return self.send("POST", "auth/token/revoke-accessor", {"accessor": accessor})

    def look_up_wrapped(self, token: str) -> Reply:
        """Read about a wrapped answer without using it up."""
        return self.send("POST", "sys/wrapping/lookup", {"token": token})

    def unwrap(self, token: str) -> Reply:
        """Take a wrapped answer."""
        return self.using(token).send("POST", "sys/wrapping/unwrap", {})

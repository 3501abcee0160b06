# SPDX-License-Identifier: EUPL-1.2
"""Entities, groups, their aliases, members and policies, and second factors."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.integration.terraform.calls import Client, data
from tests.integration.terraform.entries import Body, Entry
from tests.integration.terraform.model import (
    COMPUTED,
    FLAG,
    MAP,
    SET,
    TEXT,
    Attr,
    Data,
    Held,
    Resource,
    State,
)


@dataclass(frozen=True, kw_only=True)
class Made(Entry):
    """What has an id that the server gives: made at `root`, and from then on at its own path."""

    root: str
    key: str = "id"

    def create(self, client: Client, data: Data) -> str:
        made = client.write(self.root, self.creates(data))
        assert made is not None, f"{self.name}: there already"
        return str(made["data"][self.key])

    def read(self, client: Client, id: str, state: State) -> State | None:
        secret = client.read(self.path.format(id=id))
        return None if secret is None else {name: data(secret).get(name) for name in self.reads}

    def parts(self, id: str) -> dict[str, str]:
        return {"id": id}


def _unless_external(outside: str, *names: str) -> Body:
    return lambda data: {} if data[outside] else data.always(*names)


def _entity(data: Data) -> State:
    if data.new:
        policies = {} if data["external_policies"] else data.given("policies")
        return data.always("name") | policies | data.given("metadata", "disabled")
    body = data.always("name", "metadata", "disabled", "external_policies")
    return body | _unless_external("external_policies", "policies")(data)


ENTITY = Made(
    name="vault_identity_entity",
    root="identity/entity",
    path="identity/entity/id/{id}",
    schema={"name": COMPUTED, "metadata": MAP, "policies": SET, "external_policies": FLAG, "disabled": FLAG},
    creates=_entity,
    reads=("name", "metadata", "disabled", "policies"),
    asks_first=True,
)


def _group(data: Data) -> State:
    """Members only of internal groups, and where others do not manage them."""
    body = _unless_external("external_policies", "policies")(data)
    if data["type"] == "internal":
        body |= _unless_external("external_member_entity_ids", "member_entity_ids")(data)
        body |= _unless_external("external_member_group_ids", "member_group_ids")(data)
    if data.new:
        return body | data.always("type") | data.given("name", "metadata")
    return body | data.always("name", "metadata", "external_policies")


GROUP = Made(
    name="vault_identity_group",
    root="identity/group",
    path="identity/group/id/{id}",
    schema={
        "name": COMPUTED,
        "type": Attr(default="internal"),
        "metadata": MAP,
        "policies": SET,
        "external_policies": FLAG,
        "member_group_ids": SET,
        "member_entity_ids": SET,
        "external_member_entity_ids": FLAG,
        "external_member_group_ids": FLAG,
    },
    creates=_group,
    reads=("name", "type", "metadata", "member_entity_ids", "member_group_ids", "policies"),
)


class EntityAlias(Made):
    """An alias of an entity; one that is there already is never taken over."""

    def create(self, client: Client, data: Data) -> str:
        asked = {"alias_name": data["name"], "alias_mount_accessor": data["mount_accessor"]}
        found = client.write("identity/lookup/entity", asked)
        assert not any(
            (alias["name"], alias["mount_accessor"]) == (data["name"], data["mount_accessor"])
            for alias in (found["data"]["aliases"] if found else None) or ()
        )
        return super().create(client, data)


_ALIAS = ("name", "mount_accessor", "canonical_id", "custom_metadata", "external_id", "issuer")
ENTITY_ALIAS = EntityAlias(
    name="vault_identity_entity_alias",
    root="identity/entity-alias",
    path="identity/entity-alias/id/{id}",
    schema=dict.fromkeys(_ALIAS, TEXT) | {"custom_metadata": MAP},
    creates=lambda data: data.always(*_ALIAS),
    reads=_ALIAS,
)


class GroupAlias(Made):
    """An alias of an external group; an update reads it first."""

    def update(self, client: Client, id: str, data: Data) -> str:
        assert client.read(self.path.format(id=id)) is not None
        return super().update(client, id, data)


GROUP_ALIAS = GroupAlias(
    name="vault_identity_group_alias",
    root="identity/group-alias",
    path="identity/group-alias/id/{id}",
    schema={"name": TEXT, "mount_accessor": TEXT, "canonical_id": TEXT},
    creates=lambda data: data.always("name", "mount_accessor", "canonical_id"),
    reads=("name", "mount_accessor", "canonical_id"),
)


@dataclass(frozen=True, kw_only=True)
class Part(Resource):
    """One list of an entity or group that has its own resource: policies or members.

    Others' entries stay where it is not exclusive.
    """

    name: str
    owner: str
    """``entity`` or ``group``."""
    member: str
    schema: Mapping[str, Attr]
    looks_first: bool = False
    """Whether a write reads the owner first, exclusive or not."""

    def create(self, client: Client, data: Data) -> str:
        id = str(data[f"{self.owner}_id"])
        path = f"identity/{self.owner}/id/{id}"
        wanted = data[self.member]
        if self.looks_first or not data["exclusive"]:
            there = self._there(client, path)
            if not data["exclusive"] and there:
                kept = [one for one in there if one not in data.before(self.member)]
                wanted = sorted({*kept, *wanted})
        client.write(path, {self.member: wanted})
        return id

    def _there(self, client: Client, path: str) -> list[str]:
        found = client.read(path)
        return [] if found is None else list(data(found)[self.member] or ())

    def read(self, client: Client, id: str, state: State) -> State | None:
        secret = client.read(f"identity/{self.owner}/id/{id}")
        if secret is None:
            return None
        there = data(secret)[self.member] or []
        mine = there if state["exclusive"] else [one for one in state[self.member] if one in there]
        found: State = {f"{self.owner}_id": id, self.member: mine}
        if f"{self.owner}_name" in self.schema:
            found[f"{self.owner}_name"] = data(secret)["name"]
        return found

    def update(self, client: Client, id: str, data: Data) -> str:
        return self.create(client, data)

    def delete(self, client: Client, held: Held) -> None:
        path = f"identity/{self.owner}/id/{held.id}"
        left: list[str] = []
        if self.looks_first or not held.state["exclusive"]:
            found = client.read(path)
            if found is None:
                return
            if not held.state["exclusive"]:
                left = [one for one in data(found)[self.member] or () if one not in held.state[self.member]]
        client.write(path, {self.member: left})


def _part(name: str, owner: str, member: str, *more: str, looks_first: bool = False) -> Part:
    schema = {f"{owner}_id": TEXT, member: SET, "exclusive": Attr("flag", default=True)}
    schema |= dict.fromkeys(more, COMPUTED)
    return Part(name=name, owner=owner, member=member, schema=schema, looks_first=looks_first)


ENTITY_POLICIES = _part("vault_identity_entity_policies", "entity", "policies", "entity_name")
GROUP_POLICIES = _part("vault_identity_group_policies", "group", "policies", "group_name")
GROUP_ENTITIES = _part(
    "vault_identity_group_member_entity_ids", "group", "member_entity_ids", looks_first=True
)
GROUP_GROUPS = _part("vault_identity_group_member_group_ids", "group", "member_group_ids", looks_first=True)

_TOTP = ("issuer", "period", "key_size", "algorithm", "digits", "skew", "max_validation_attempts", "qr_size")


class Factor(Made):
    """A second factor; what its answers leave out stays as it is."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        secret = client.read(self.path.format(id=id))
        if secret is None:
            return None
        renamed = {"id": "uuid"}
        found = {renamed.get(name, name): value for name, value in data(secret).items()}
        return {name: value for name, value in found.items() if name in self.schema} | {"method_id": id}


MFA_TOTP = Factor(
    name="vault_identity_mfa_totp",
    root="identity/mfa/method/totp",
    path="identity/mfa/method/totp/{id}",
    key="method_id",
    schema={
        "issuer": TEXT,
        "period": Attr("number", default=30),
        "key_size": Attr("number", default=20),
        "qr_size": Attr("number", computed=True),
        "algorithm": Attr(default="SHA256"),
        "digits": Attr("number", default=6),
        "skew": Attr("number", default=1),
        "max_validation_attempts": Attr("number", default=5),
    }
    | dict.fromkeys(
        ("type", "mount_accessor", "name", "method_id", "uuid", "namespace_id", "namespace_path"), COMPUTED
    ),
    creates=lambda data: (
        data.given("issuer", "algorithm") | data.always(*(set(_TOTP) - {"issuer", "algorithm"}))
    ),
)

_ENFORCED = (
    "mfa_method_ids", "auth_method_accessors", "auth_method_types", "identity_group_ids", "identity_entity_ids",
)  # fmt: skip


class Enforcement(Entry):
    """Where a second factor is asked for."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        secret = client.read(self.path.format(name=id))
        if secret is None:
            return None
        found = {"uuid" if name == "id" else name: value for name, value in data(secret).items()}
        return {name: value for name, value in found.items() if name in self.schema}


MFA_ENFORCEMENT = Enforcement(
    name="vault_identity_mfa_login_enforcement",
    path="identity/mfa/login-enforcement/{name}",
    id="{name}",
    schema=dict.fromkeys(_ENFORCED, SET)
    | {"name": TEXT}
    | dict.fromkeys(("uuid", "namespace_id", "namespace_path"), COMPUTED),
    creates=lambda data: data.given("name", *_ENFORCED, "uuid", "namespace_id", "namespace_path"),
)

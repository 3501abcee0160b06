# SPDX-License-Identifier: EUPL-1.2
"""Identity tokens and the OpenID Connect provider."""

from collections.abc import Mapping

from tests.integration.terraform.calls import Client, Refused, data
from tests.integration.terraform.entries import Entry
from tests.integration.terraform.model import COMPUTED, SET, TEXT, Attr, Data, Held, Resource, State

_ROOT = "identity/oidc"


class Issuer(Resource):
    """Who issues identity tokens; deleting it sets it to nothing."""

    name = "vault_identity_oidc"
    schema: Mapping[str, Attr] = {"issuer": COMPUTED}
    _PATH = f"{_ROOT}/config"

    def create(self, client: Client, data: Data) -> str:
        client.write(self._PATH, data.always("issuer"))
        return "the address of the server"

    def read(self, client: Client, id: str, state: State) -> State | None:
        # It asks first whether an issuer is set, and takes it for gone where none is.
        if not data(client.read(self._PATH))["issuer"]:
            return None
        return {"issuer": data(client.read(self._PATH))["issuer"]}

    def update(self, client: Client, id: str, data: Data) -> str:
        return self.create(client, data)

    def delete(self, client: Client, held: Held) -> None:
        client.write(self._PATH, {"issuer": ""})


_KEY = ("rotation_period", "verification_ttl", "algorithm", "allowed_client_ids")


def _key(data: Data) -> State:
    body = data.always("rotation_period", "verification_ttl", "algorithm")
    return body | (data.always if data.new else data.changed)("allowed_client_ids")


KEY = Entry(
    name="vault_identity_oidc_key",
    path=_ROOT + "/key/{name}",
    id="{name}",
    schema={
        "name": TEXT,
        "rotation_period": Attr("number", default=86400),
        "verification_ttl": Attr("number", default=86400),
        "algorithm": Attr(default="RS256"),
        "allowed_client_ids": Attr("set", computed=True),
    },
    creates=_key,
    reads=_KEY,
    asks_first=True,
)


class KeyClient(Resource):
    """One client that a key signs for; the key's other clients stay."""

    name = "vault_identity_oidc_key_allowed_client_id"
    schema: Mapping[str, Attr] = {"key_name": TEXT, "allowed_client_id": TEXT}

    def _key(self, client: Client, name: str) -> list[str] | None:
        try:
            found = client.read(f"{_ROOT}/key/{name}")
        except Refused as refused:
            if "no named key found" in str(refused):
                return None
            raise
        return None if found is None else list(data(found)["allowed_client_ids"])

    def create(self, client: Client, data: Data) -> str:
        name, one = data["key_name"], data["allowed_client_id"]
        there = self._key(client, name)
        assert there is not None
        client.write(f"{_ROOT}/key/{name}", {"allowed_client_ids": sorted({*there, one})})
        return f"{name}/{one}"

    def read(self, client: Client, id: str, state: State) -> State | None:
        there = self._key(client, state["key_name"])
        return None if there is None or state["allowed_client_id"] not in there else {}

    def delete(self, client: Client, held: Held) -> None:
        name, one = held.state["key_name"], held.state["allowed_client_id"]
        there = self._key(client, name)
        if there is not None:
            client.write(
                f"{_ROOT}/key/{name}", {"allowed_client_ids": [each for each in there if each != one]}
            )


ROLE = Entry(
    name="vault_identity_oidc_role",
    path=_ROOT + "/role/{name}",
    id="{name}",
    schema={
        "name": TEXT,
        "key": TEXT,
        "template": TEXT,
        "ttl": Attr("number", default=86400),
        "client_id": COMPUTED,
    },
    creates=lambda data: data.always("key", "client_id", "template", "ttl"),
    reads=("key", "template", "ttl", "client_id"),
    asks_first=True,
)


SCOPE = Entry(
    name="vault_identity_oidc_scope",
    path=_ROOT + "/scope/{name}",
    schema={"name": TEXT, "template": TEXT, "description": TEXT},
    creates=lambda data: data.given("template", "description"),
    updates=lambda data: data.changed("template", "description"),
    reads=("template", "description"),
)
ASSIGNMENT = Entry(
    name="vault_identity_oidc_assignment",
    path=_ROOT + "/assignment/{name}",
    schema={"name": TEXT, "entity_ids": SET, "group_ids": SET},
    creates=lambda data: data.given("entity_ids", "group_ids"),
    updates=lambda data: data.changed("entity_ids", "group_ids"),
    reads=("entity_ids", "group_ids"),
)
_CLIENT = ("key", "redirect_uris", "assignments", "id_token_ttl", "access_token_ttl", "client_type")
CLIENT = Entry(
    name="vault_identity_oidc_client",
    path=_ROOT + "/client/{name}",
    schema={
        "name": TEXT,
        "key": COMPUTED,
        "redirect_uris": SET,
        "assignments": SET,
        "id_token_ttl": Attr("number", computed=True),
        "access_token_ttl": Attr("number", computed=True),
        "client_id": COMPUTED,
        "client_secret": COMPUTED,
        "client_type": COMPUTED,
    },
    creates=lambda data: data.given(*_CLIENT),
    reads=(*_CLIENT, "client_id", "client_secret"),
)


def _provider(data: Data) -> State:
    body = data.given("allowed_client_ids", "scopes_supported")
    if data["issuer_host"]:
        body["issuer"] = f"{'https' if data['https_enabled'] else 'http'}://{data['issuer_host']}"
    return body


PROVIDER = Entry(
    name="vault_identity_oidc_provider",
    path=_ROOT + "/provider/{name}",
    schema={
        "name": TEXT,
        "issuer": COMPUTED,
        "https_enabled": Attr("flag", default=True),
        "issuer_host": TEXT,
        "allowed_client_ids": SET,
        "scopes_supported": SET,
    },
    creates=_provider,
    reads=("issuer", "allowed_client_ids", "scopes_supported"),
)

# SPDX-License-Identifier: EUPL-1.2
"""Keys of a transit mount, the size of its cache, and what is encrypted and signed with its keys."""

import base64
from collections.abc import Mapping

from tests.integration.terraform.calls import Client, data
from tests.integration.terraform.entries import Entry
from tests.integration.terraform.model import FLAG, NUMBER, TEXT, Attr, Data, State

_READ = (
    "allow_plaintext_backup", "deletion_allowed", "derived", "exportable", "supports_decryption", "supports_derivation",
    "supports_encryption", "supports_signing", "type", "auto_rotate_period", "latest_version", "min_available_version",
    "min_decryption_version", "min_encryption_version", "convergent_encryption", "key_size",
)  # fmt: skip
_SETTINGS = (
    "min_decryption_version", "deletion_allowed", "exportable", "allow_plaintext_backup", "auto_rotate_period",
)  # fmt: skip
_SIGNING = (
    "key_version", "hash_algorithm", "input", "context", "signature_context", "signature_algorithm",
    "marshaling_algorithm", "salt_length", "prehashed",
)  # fmt: skip
_VERIFYING = ("signature", "hmac", *(name for name in _SIGNING if name != "key_version"))
_VERIFIED = {
    "hash_algorithm": "sha2-256",
    "signature_algorithm": "pss",
    "marshaling_algorithm": "asn1",
    "salt_length": "auto",
}
"""What a verification says where its configuration does not."""


class TransitKey(Entry):
    """A key: made by one request and configured by a second, later by the second alone."""

    def create(self, client: Client, data: Data) -> str:
        id = super().create(client, data)
        # The provider misspells one name here, so a new key is not given its `min_encryption_version`.
        misspelt = {"min_encryption_versoin": data["min_encryption_version"]}
        client.write(f"{id}/config", data.always(*_SETTINGS) | misspelt)
        return id

    def read(self, client: Client, id: str, state: State) -> State | None:
        answer = client.read(id)
        if answer is None:
            return None
        key = data(answer)
        versions = [one if isinstance(one, dict) else {"id": one} for one in (key.get("keys") or {}).values()]
        found = {name: key[name] for name in _READ if name in key}
        return {
            **found,
            "keys": versions,
            "convergent_encryption": key.get("convergent_encryption") is True,
        } | (self.parts(id))

    def update(self, client: Client, id: str, data: Data) -> str:
        client.write(f"{id}/config", data.always(*_SETTINGS, "min_encryption_version"))
        return id


TRANSIT_KEY = TransitKey(
    name="vault_transit_secret_backend_key",
    path="{backend}/keys/{name}",
    schema={
        "backend": TEXT,
        "name": TEXT,
        "deletion_allowed": FLAG,
        "convergent_encryption": FLAG,
        "derived": FLAG,
        "exportable": FLAG,
        "allow_plaintext_backup": FLAG,
        "auto_rotate_period": Attr("number", computed=True),
        "type": Attr(default="aes256-gcm96"),
        "keys": Attr("list", computed=True),
        "key_size": NUMBER,
        "latest_version": Attr("number", computed=True),
        "min_available_version": Attr("number", computed=True),
        "min_decryption_version": Attr("number", default=1),
        "min_encryption_version": NUMBER,
        **{
            f"supports_{use}": Attr("flag", computed=True)
            for use in ("encryption", "decryption", "derivation", "signing")
        },
    },
    creates=lambda data: data.always(
        "convergent_encryption", "derived", "type", "auto_rotate_period", "key_size"
    ),
)


class CacheConfig(Entry):
    """The size of a mount's cache. The mount is loaded again after each write, and deleting it sends nothing."""

    def create(self, client: Client, data: Data) -> str:
        id = super().create(client, data)
        client.write("sys/plugins/reload/backend", {"mounts": [f"{data['backend']}/"]})
        return id

    def update(self, client: Client, id: str, data: Data) -> str:
        return self.create(client, data)


CACHE = CacheConfig(
    name="vault_transit_secret_cache_config",
    path="{backend}/cache-config",
    schema={"backend": TEXT, "size": NUMBER},
    creates=lambda data: data.always("size"),
    reads=("size",),
    deletes=False,
)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def encrypt(client: Client, config: State) -> State:
    """``vault_transit_encrypt``: a plaintext, which may have a context and name a version of the key."""
    body = {
        "plaintext": _encoded(config["plaintext"]),
        "context": _encoded(config.get("context", "")),
        "key_version": config.get("key_version", 0),
    }
    return {
        "ciphertext": data(client.write(f"{config['backend']}/encrypt/{config['key']}", body))["ciphertext"]
    }


def decrypt(client: Client, config: State) -> State:
    """``vault_transit_decrypt``: a ciphertext, and the context that it was made with."""
    body = {"ciphertext": config["ciphertext"], "context": _encoded(config.get("context", ""))}
    opened = data(client.write(f"{config['backend']}/decrypt/{config['key']}", body))
    return {"plaintext": base64.b64decode(opened["plaintext"]).decode()}


def sign(client: Client, config: State) -> State:
    """``vault_transit_sign``: an input, or a batch of them."""
    body = {name: config[name] for name in (*_SIGNING, "batch_input") if config.get(name)}
    return _either(client, f"{config['path']}/sign/{config['name']}", body, "signature")


def verify(client: Client, config: State) -> State:
    """``vault_transit_verify``: a signature or a MAC of an input, or a batch of them."""
    wanted = _VERIFIED | config
    body = {name: wanted[name] for name in (*_VERIFYING, "batch_input") if wanted.get(name)}
    return _either(client, f"{config['path']}/verify/{config['name']}", body, "valid")


def _either(client: Client, path: str, body: State, single: str) -> State:
    answer: Mapping[str, object] = data(client.write(path, body))
    name = "batch_results" if "batch_results" in answer else single
    return {name: answer[name]}

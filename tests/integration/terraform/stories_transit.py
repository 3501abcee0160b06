# SPDX-License-Identifier: EUPL-1.2
"""Lives of keys of a transit mount and of its cache, and what is read of its keys."""

from collections.abc import Callable, Sequence

from tests.integration.terraform.calls import Client, data
from tests.integration.terraform.model import State
from tests.integration.terraform.readings import Reading
from tests.integration.terraform.stories import Known, Story, wrote
from tests.integration.terraform.stories_secrets import mounted
from tests.integration.terraform.transit import CACHE, TRANSIT_KEY

_INPUT = "aGVsbG8="
_OTHER = "b3RoZXI="


def _key(mount: str, kind: str, **more: object) -> Callable[[Client], Known]:
    """A mount with a key, and what that made of an input: `ciphertext`, `signature`, `hmac`."""

    def needs(client: Client) -> Known:
        mounted(mount, "transit")(client)
        client.write(f"{mount}/keys/one", {"type": kind, **more})
        made = {"hmac": data(client.write(f"{mount}/hmac/one", {"input": _INPUT}))["hmac"]}
        if kind.startswith("aes"):
            body = {"plaintext": _INPUT, "context": _OTHER if more else ""}
            made["ciphertext"] = data(client.write(f"{mount}/encrypt/one", body))["ciphertext"]
        else:
            signed = client.write(f"{mount}/sign/one", {"input": _INPUT})
            made["signature"] = data(signed)["signature"]
        return made

    return needs


def _verified(mount: str, *names: str, **more: object) -> Callable[[Known], State]:
    """A configuration that has what was made under `names`."""
    return lambda known: (
        {"path": mount, "name": "one", "input": _INPUT, **more} | {n: known[n] for n in names}
    )


def _opened(mount: str, **more: object) -> Callable[[Known], State]:
    return lambda known: {"backend": mount, "key": "one", "ciphertext": known["ciphertext"], **more}


_ENDING = {"deletion_allowed": True}

STORIES: Sequence[Story] = (
    Story(
        resource=TRANSIT_KEY,
        needs=mounted("tf-transit", "transit"),
        first={"backend": "tf-transit", "name": "app", **_ENDING},
        second={
            "backend": "tf-transit",
            "name": "app",
            "min_encryption_version": 1,
            "auto_rotate_period": 3600,
            **_ENDING,
        },
        drift=wrote("{id}/rotate", {}),
    ),
    Story(
        resource=TRANSIT_KEY,
        note="made with a version to encrypt with",
        needs=mounted("tf-transit-least", "transit"),
        first={"backend": "tf-transit-least", "name": "app", "min_encryption_version": 1, **_ENDING},
        unread=("min_encryption_version",),
    ),
    *(
        Story(
            resource=TRANSIT_KEY,
            note=kind,
            needs=mounted(f"tf-transit-{kind}", "transit"),
            first={"backend": f"tf-transit-{kind}", "name": "app", "type": kind, **more, **_ENDING},
        )
        for kind, more in (
            ("aes128-gcm96", {"derived": True, "convergent_encryption": True}),
            ("chacha20-poly1305", {"exportable": True, "allow_plaintext_backup": True}),
            ("ed25519", {"derived": True}),
            ("ecdsa-p384", {"auto_rotate_period": 7200}),
            ("rsa-2048", {}),
            ("hmac", {"key_size": 64}),
        )
    ),
    Story(
        resource=CACHE,
        needs=mounted("tf-transit-cache", "transit"),
        first={"backend": "tf-transit-cache", "size": 500},
        second={"backend": "tf-transit-cache", "size": 0},
        drift=wrote("{id}", {"size": 700}),
        drifted=("size",),
        imports=False,
        lasts=True,
    ),
)

READINGS: Sequence[Reading] = (
    Reading(
        name="vault_transit_encrypt",
        needs=_key("tf-encrypt", "aes256-gcm96"),
        config={"backend": "tf-encrypt", "key": "one", "plaintext": "hello"},
        finds={},
    ),
    Reading(
        name="vault_transit_encrypt",
        note="with a context and a version",
        needs=_key("tf-encrypt-context", "aes256-gcm96", derived=True),
        config={
            "backend": "tf-encrypt-context",
            "key": "one",
            "plaintext": "",
            "context": "c",
            "key_version": 1,
        },
        finds={},
    ),
    Reading(
        name="vault_transit_encrypt",
        note="a version that is not there",
        needs=_key("tf-encrypt-version", "aes256-gcm96"),
        config={"backend": "tf-encrypt-version", "key": "one", "plaintext": "hello", "key_version": 2},
        finds="400: requested version for encryption is higher than the latest key version",
    ),
    Reading(
        name="vault_transit_decrypt",
        needs=_key("tf-decrypt", "aes256-gcm96"),
        config=_opened("tf-decrypt"),
        finds={"plaintext": "hello"},
    ),
    Reading(
        name="vault_transit_decrypt",
        note="with a context",
        needs=_key("tf-decrypt-context", "aes256-gcm96", derived=True),
        config=_opened("tf-decrypt-context", context="other"),
        finds={"plaintext": "hello"},
    ),
    *(
        Reading(
            name="vault_transit_sign",
            note=kind,
            needs=_key(f"tf-sign-{kind}", kind),
            config={"path": f"tf-sign-{kind}", "name": "one", "input": _INPUT, **more},
            finds={},
        )
        for kind, more in (
            ("ed25519", {"key_version": 1}),
            ("ecdsa-p256", {"hash_algorithm": "sha2-512", "marshaling_algorithm": "jws"}),
            ("rsa-2048", {"signature_algorithm": "pkcs1v15", "hash_algorithm": "sha2-256"}),
        )
    ),
    Reading(
        name="vault_transit_sign",
        note="a batch",
        needs=_key("tf-sign-batch", "ed25519"),
        config={
            "path": "tf-sign-batch",
            "name": "one",
            "batch_input": [{"input": _INPUT, "reference": "a"}, {"input": _OTHER, "reference": "b"}],
        },
        finds={},
    ),
    *(
        Reading(
            name="vault_transit_verify",
            note=kind,
            needs=_key(f"tf-verify-{kind}", kind),
            config=_verified(f"tf-verify-{kind}", "signature"),
            finds={"valid": True},
        )
        for kind in ("ed25519", "ecdsa-p256", "rsa-2048")
    ),
    Reading(
        name="vault_transit_verify",
        note="a MAC",
        needs=_key("tf-verify-mac", "aes256-gcm96"),
        config=_verified("tf-verify-mac", "hmac"),
        finds={"valid": True},
    ),
    Reading(
        name="vault_transit_verify",
        note="another input",
        needs=_key("tf-verify-other", "ed25519"),
        config=lambda known: {**_verified("tf-verify-other", "signature")(known), "input": _OTHER},
        finds={"valid": False},
    ),
)

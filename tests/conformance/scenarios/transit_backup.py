# SPDX-License-Identifier: EUPL-1.2
"""transit: keys that are backed up and restored, and those that leave wrapped for another key."""

import base64
import json

from tests.conformance.moved_keys import public_pem
from tests.conformance.scenario import Scenario, Step, delete, get, post

FAULT = "DV-07"
"""OpenBao answers 500 where the request is at fault."""
KINDS = (
    "aes128-gcm96",
    "aes256-gcm96",
    "chacha20-poly1305",
    "xchacha20-poly1305",
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
    "rsa-3072",
    "hmac",
    "mldsa-44",
    "mldsa-65",
    "mldsa-87",
)
LET = {"exportable": True, "allow_plaintext_backup": True}


def backup_of(**settings: object) -> str:
    """A backup of a made-up key of AES-256, with other settings."""
    entry = {"key": base64.b64encode(bytes(32)).decode(), "hmac_key": base64.b64encode(bytes(32)).decode()}
    policy = {
        "name": "made",
        "keys": {"1": {**entry, "time": "2026-11-30T05:20:13.5Z", "creation_time": 1796016013}},
        "min_decryption_version": 1,
        "latest_version": 1,
        "type": 0,
        **LET,
        **settings,
    }
    return encoded(json.dumps({"policy": policy, "archived_keys": {"keys": []}}))


def encoded(text: str) -> str:
    """A text in base64."""
    return base64.b64encode(text.encode()).decode()


def refused(backup: str, path: str = "tb/restore") -> Step:
    """Restores what is no backup."""
    return post(path, {"backup": backup}, divergence=FAULT)


def senseless(**settings: object) -> Step:
    """Restores what OpenBao takes, though no such key works."""
    return post(
        "tb/restore", {"backup": backup_of(name=f"s{len(str(settings))}", **settings)}, divergence="DV-06"
    )


def crash(text: str) -> Step:
    """Restores what ends the request in OpenBao without an answer."""
    return post("tb/restore", {"backup": encoded(text)}, divergence="DV-06")


def round_trip(kind: str) -> list[Step]:
    """Backs up, restores under another name, and uses what it made before."""
    size = {"key_size": 48} if kind == "hmac" else {}
    steps = [
        post(f"tb/keys/{kind}", {"type": kind, **LET, **size}),
        post(f"tb/keys/{kind}/rotate", {}),
        post(f"tb/hmac/{kind}", {"input": "AAAA", "key_version": 1}, save=["mac:data.hmac"]),
        get(f"tb/backup/{kind}", save=["backup:data.backup"], pick=["warnings"]),
        get(f"tb/keys/{kind}"),
        post(f"tb/restore/new-{kind}", {"backup": "{backup}"}),
        get(f"tb/keys/new-{kind}"),
        post(f"tb/verify/new-{kind}", {"input": "AAAA", "hmac": "{mac}"}),
    ]
    if kind != "hmac":
        steps.append(
            get(f"tb/export/public-key/new-{kind}")
            if "gcm" not in kind and "poly" not in kind
            else get(f"tb/export/encryption-key/new-{kind}")
        )
    return steps


BACKUP = [
    post("sys/mounts/tb", {"type": "transit"}),
    *(step for kind in KINDS for step in round_trip(kind)),
    post("tb/restore", {"backup": "{backup}"}, divergence=FAULT),
    post("tb/restore", {"backup": "{backup}", "force": True}),
    get("tb/keys/mldsa-87"),
    post("tb/restore", {"backup": "{backup}", "force": "x"}),
    post("tb/restore/new-hmac", {"backup": "{backup}"}, divergence=FAULT),
    post("tb/restore/new-hmac", {"backup": "{backup}", "force": True}),
    get("tb/keys/new-hmac"),
    post("tb/restore/a/b", {"backup": "{backup}"}, divergence=FAULT),
    post("tb/restore/-a", {"backup": "{backup}"}, divergence=FAULT),
    get("tb/restore"),
    post("tb/backup/hmac", {}),
    get("tb/backup/nope", divergence=FAULT),
    get("tb/backup/-a"),
    post("tb/keys/n", {}),
    get("tb/backup/n", divergence=FAULT),
    post("tb/keys/n/config", {"exportable": True}),
    get("tb/backup/n", divergence=FAULT),
    post("tb/keys/m", {"allow_plaintext_backup": True}),
    get("tb/backup/m", divergence=FAULT),
    delete("tb/keys/hmac/soft-delete"),
    get("tb/backup/hmac", divergence=FAULT),
    delete("sys/mounts/tb"),
]
SETTINGS = [
    post("sys/mounts/tb", {"type": "transit"}),
    post("tb/keys/d", {"derived": True, "convergent_encryption": True, "auto_rotate_period": "5h", **LET}),
    post("tb/encrypt/d", {"plaintext": "AAAA", "context": "AAAA"}, save=["text:data.ciphertext"]),
    post("tb/keys/d/config", {"deletion_allowed": True}),
    get("tb/backup/d", save=["backup:data.backup"], pick=["warnings"]),
    delete("tb/keys/d"),
    post("tb/decrypt/d", {"ciphertext": "{text}", "context": "AAAA"}),
    post("tb/restore", {"backup": "{backup}"}),
    post("tb/decrypt/d", {"ciphertext": "{text}", "context": "AAAA"}),
    get("tb/keys/d"),
    post("tb/keys/v", LET),
    *(post("tb/keys/v/rotate", {}) for _ in range(4)),
    post("tb/encrypt/v", {"plaintext": "AAAA", "key_version": 0}, save=["text:data.ciphertext"]),
    post("tb/keys/v/config", {"min_decryption_version": 4, "min_encryption_version": 4}),
    get("tb/backup/v", save=["backup:data.backup"], pick=["warnings"]),
    post("tb/restore/v4", {"backup": "{backup}"}),
    get("tb/keys/v4"),
    post("tb/keys/v4/config", {"min_decryption_version": 1}),
    get("tb/keys/v4"),
    get("tb/export/encryption-key/v4/1"),
    post("tb/keys/v/trim", {"min_available_version": 3}),
    get("tb/backup/v", save=["backup:data.backup"], pick=["warnings"]),
    post("tb/restore/v3", {"backup": "{backup}"}),
    get("tb/keys/v3"),
    post("tb/decrypt/v3", {"ciphertext": "{text}"}),
    post("tb/keys/v3/config", {"min_decryption_version": 3}),
    get("tb/export/encryption-key/v3/3"),
    get("tb/export/encryption-key/v3/2"),
    post("tb/keys/v3/config", {"min_decryption_version": 2}),
    get("tb/wrapping_key", save=["wrapping:data.public_key"]),
    post(
        "tb/keys/i/import",
        {"ciphertext": "{wrapped_bytes32}", "derived": True, "allow_rotation": True, **LET},
    ),
    get("tb/backup/i", save=["backup:data.backup"], pick=["warnings"]),
    post("tb/restore/i2", {"backup": "{backup}"}),
    get("tb/keys/i2"),
    *(
        step
        for kind, pair in (
            ("rsa-2048", "rsa2048"),
            ("ecdsa-p256", "p256"),
            ("ed25519", "ed25519"),
            ("mldsa-44", "mldsa44"),
        )
        for step in (
            post(f"tb/keys/{pair}/import", {"type": kind, "public_key": public_pem(pair), **LET}),
            get(f"tb/backup/{pair}", save=["backup:data.backup"], pick=["warnings"]),
            post(f"tb/restore/{pair}2", {"backup": "{backup}"}),
            get(f"tb/keys/{pair}2"),
            post(f"tb/keys/{pair}2/import_version", {"ciphertext": f"{{wrapped_{pair}}}"}),
            get(f"tb/backup/{pair}2", pick=["warnings"]),
        )
    ),
    post("tb/restore", {"backup": backup_of()}),
    get("tb/keys/made"),
    get("tb/export/encryption-key/made"),
    post("tb/restore/body", {"backup": backup_of(), "name": "other"}),
    get("tb/keys/body"),
    post("tb/restore", {"backup": backup_of(name="fresh"), "name": "other"}),
    get("tb/keys/other"),
    get("tb/keys/fresh"),
    delete("sys/mounts/tb"),
]
WRONG = [
    post("sys/mounts/tb", {"type": "transit"}),
    post("tb/restore", {}),
    post("tb/restore", {"backup": ""}),
    refused("%%"),
    refused(encoded("hello")),
    refused(encoded("[]")),
    crash("{}"),
    crash("null"),
    crash('{"policy":null,"archived_keys":null}'),
    refused(encoded('{"policy":{},"archived_keys":{}}')),
    refused(encoded('{"policy":{"name":"x"},"archived_keys":{}}')),
    refused(backup_of(type="x")),
    refused(backup_of(latest_version=0)),
    refused(backup_of(min_decryption_version=0)),
    refused(backup_of(min_decryption_version=9)),
    refused(backup_of(name="a/b")),
    refused(backup_of(name="-x")),
    refused(backup_of(name="")),
    senseless(type=99),
    senseless(type=-1),
    senseless(type=1),
    senseless(latest_version=5),
    senseless(min_encryption_version=9),
    senseless(min_encryption_version=-1),
    senseless(auto_rotate_period=5),
    senseless(derived=True, kdf=7),
    delete("sys/mounts/tb"),
]
BYOK = [
    post("sys/mounts/tb", {"type": "transit"}),
    post("sys/mounts/to", {"type": "transit"}),
    get("to/wrapping_key", save=["wrapping:data.public_key"]),
    post("tb/keys/way/import", {"type": "rsa-4096", "public_key": "{wrapping}"}),
    *(
        step
        for kind in KINDS
        for step in (
            post(
                f"tb/keys/{kind}",
                {"type": kind, "exportable": True, **({"key_size": 40} if kind == "hmac" else {})},
            ),
            get(f"tb/byok-export/way/{kind}", save=["wrapped:data.keys.1"], pick=["data.name", "data.type"]),
            post(f"to/keys/{kind}/import", {"type": kind, "ciphertext": "{wrapped}", "exportable": True}),
            get(f"to/keys/{kind}"),
        )
    ),
    post("tb/encrypt/aes256-gcm96", {"plaintext": "AAAA"}, save=["text:data.ciphertext"]),
    post("to/decrypt/aes256-gcm96", {"ciphertext": "{text}"}),
    post("tb/keys/ed25519/rotate", {}),
    get("tb/byok-export/way/ed25519/2", save=["wrapped:data.keys.2"], pick=["data.name"]),
    post("to/keys/ed25519/import_version", {"ciphertext": "{wrapped}"}),
    post("tb/sign/ed25519", {"input": "AAAA"}, save=["signature:data.signature"]),
    post("to/verify/ed25519", {"input": "AAAA", "signature": "{signature}"}),
    get("tb/byok-export/way/ed25519/latest", pick=["data.name"]),
    get("tb/byok-export/way/ed25519/v1?hash=SHA1", pick=["data.name"]),
    get("tb/byok-export/way/ed25519/1?hash=sha512", save=["wrapped:data.keys.1"], pick=["data.type"]),
    post("to/keys/s/import", {"type": "ed25519", "ciphertext": "{wrapped}", "hash_function": "SHA512"}),
    get("tb/byok-export/way/ed25519/9"),
    get("tb/byok-export/way/ed25519/0"),
    get("tb/byok-export/way/ed25519/x"),
    get("tb/byok-export/way/ed25519/-1"),
    get("tb/byok-export/way/ed25519/1?hash=md5", divergence=FAULT),
    get("tb/byok-export/nope/ed25519", divergence=FAULT),
    get("tb/byok-export/way/nope", divergence=FAULT),
    get("tb/byok-export/nope/nope", divergence=FAULT),
    get("tb/byok-export/way/way"),
    get("tb/byok-export/hmac/hmac", divergence=FAULT),
    get("tb/byok-export/ecdsa-p256/hmac", divergence=FAULT),
    post("tb/keys/kept", {}),
    get("tb/byok-export/way/kept"),
    get("tb/byok-export/hmac/kept"),
    post("tb/keys/rsa", {"type": "rsa-2048"}),
    get("tb/byok-export/rsa/hmac", pick=["data.name", "data.type"]),
    post("tb/keys/half/import", {"type": "ecdsa-p256", "public_key": public_pem("p256"), "exportable": True}),
    get("tb/byok-export/way/half"),
    delete("tb/keys/hmac/soft-delete"),
    get("tb/byok-export/way/hmac", divergence=FAULT),
    delete("tb/keys/rsa/soft-delete"),
    get("tb/byok-export/rsa/ed25519", divergence=FAULT),
    delete("sys/mounts/tb"),
    delete("sys/mounts/to"),
]
SCENARIOS = [
    Scenario("transit", "backup", BACKUP),
    Scenario("transit", "backup-settings", SETTINGS),
    Scenario("transit", "backup-wrong", WRONG),
    Scenario("transit", "byok", BYOK),
]

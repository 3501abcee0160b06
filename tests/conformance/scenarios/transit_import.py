# SPDX-License-Identifier: EUPL-1.2
"""transit: keys that come from elsewhere, of every kind, whole or their public half alone."""

from tests.conformance.moved_keys import public_pem
from tests.conformance.scenario import Scenario, Step, delete, get, lst, post

FAULT = "DV-07"
"""OpenBao answers 500 where the request is at fault."""
STRICT = "DV-04"
"""OpenBao reads a part of what was sent, or takes it for what it does not say that it is."""
PAIRS = {
    "rsa-2048": "rsa2048",
    "rsa-3072": "rsa3072",
    "ecdsa-p256": "p256",
    "ecdsa-p384": "p384",
    "ecdsa-p521": "p521",
    "ed25519": "ed25519",
    "mldsa-44": "mldsa44",
    "mldsa-65": "mldsa65",
    "mldsa-87": "mldsa87",
}


INPUT = {"input": "AAAA", "marshaling_algorithm": "jws"}
"""Signed so that every signature of a kind has one length."""


def whole(name: str, key: str, *, divergence: str = "", **options: object) -> Step:
    """Imports a key."""
    body = {"ciphertext": f"{{wrapped_{key}}}", **options}
    return post(f"ti/keys/{name}/import", body, divergence=divergence)


def refused(name: str, body: dict[str, object]) -> Step:
    """Imports what is at fault."""
    return post(f"ti/keys/{name}/import", body, divergence=FAULT)


def version(name: str, key: str, **options: object) -> Step:
    """Imports a version."""
    return post(f"ti/keys/{name}/import_version", {"ciphertext": f"{{wrapped_{key}}}", **options})


def no_version(name: str, body: dict[str, object]) -> Step:
    """Imports a version that is at fault."""
    return post(f"ti/keys/{name}/import_version", body, divergence=FAULT)


SYMMETRIC = [
    post("sys/mounts/ti", {"type": "transit"}),
    get("ti/wrapping_key", save=["wrapping:data.public_key"]),
    get("ti/wrapping_key"),
    post("ti/wrapping_key", {}),
    lst("ti/keys", divergence="DV-06"),
    get("ti/keys/import/wrapping-key"),
    whole("a", "bytes32"),
    get("ti/keys/a"),
    post("ti/encrypt/a", {"plaintext": "AAAA"}, save=["text:data.ciphertext"]),
    post("ti/decrypt/a", {"ciphertext": "{text}"}),
    get("ti/keys/a/import"),
    whole("upper", "bytes32", type="AES256-GCM96"),
    whole("a128", "bytes16", type="aes128-gcm96"),
    get("ti/keys/a128"),
    whole("c", "bytes32", type="chacha20-poly1305"),
    get("ti/keys/c"),
    whole("xc", "bytes32", type="xchacha20-poly1305"),
    whole("dxc", "bytes32", type="xchacha20-poly1305", derived=True),
    post("ti/encrypt/dxc", {"plaintext": "AAAA", "context": "AAAA"}),
    whole("h", "bytes32", type="hmac"),
    get("ti/keys/h"),
    post("ti/hmac/h", {"input": "AAAA"}),
    whole("h512", "bytes512", type="hmac", key_size=64),
    get("ti/keys/h512"),
    version("h", "bytes64"),
    get("ti/keys/h"),
    whole("s1", "bytes32_sha1", hash_function="SHA1"),
    whole("s2", "bytes32_sha224", hash_function="sha224"),
    whole("s3", "bytes32_sha384", hash_function="Sha384"),
    whole("s4", "bytes32_sha512", hash_function="SHA512"),
    post("ti/keys/x/import", {"ciphertext": "{wrapped_bytes32}", "hash_function": "md5"}, divergence="DV-02"),
    post(
        "ti/keys/x/import",
        {"ciphertext": "{wrapped_bytes32}", "hash_function": "SHA-256"},
        divergence="DV-02",
    ),
    post("ti/keys/x/import", {"ciphertext": "{wrapped_bytes32}", "hash_function": ""}, divergence="DV-02"),
    post("ti/keys/x/import", {"ciphertext": "{wrapped_bytes32}", "type": "x"}, divergence="DV-02"),
    post("ti/keys/x/import", {"ciphertext": "{wrapped_bytes32}", "type": "external-key"}, divergence="DV-02"),
    post("ti/keys/-x/import", {}),
    refused("x", {}),
    refused("x", {"ciphertext": "%%"}),
    refused("x", {"ciphertext": "AAAA"}),
    refused("x", {"ciphertext": ""}),
    refused("x", {"ciphertext": "{wrapped_bytes32_sha1}"}),
    refused("x", {"ciphertext": "{wrapped_bytes32_short}"}),
    refused("x", {"ciphertext": "{wrapped_bytes32_bare}"}),
    refused("x", {"ciphertext": "{wrapped_bytes32}", "type": "aes128-gcm96"}),
    refused("x", {"ciphertext": "{wrapped_bytes16}"}),
    refused("x", {"ciphertext": "{wrapped_bytes16}", "type": "chacha20-poly1305"}),
    refused("x", {"ciphertext": "{wrapped_bytes31}", "type": "hmac"}),
    refused("x", {"ciphertext": "{wrapped_bytes513}", "type": "hmac"}),
    refused("x", {"ciphertext": "{wrapped_bytes32}", "convergent_encryption": True}),
    refused("x", {"ciphertext": "{wrapped_bytes32}", "derived": True, "convergent_encryption": True}),
    refused("x", {"ciphertext": "{wrapped_bytes32}", "auto_rotate_period": "5h"}),
    refused("x", {"public_key": public_pem("p256")}),
    refused("a", {"ciphertext": "{wrapped_bytes32}"}),
    post(
        "ti/keys/x/import",
        {"ciphertext": "{wrapped_bytes32}", "auto_rotate_period": "5m", "allow_rotation": True},
        divergence="DV-06",
    ),
    post(
        "ti/keys/e/import",
        {"ciphertext": "{wrapped_ed25519}", "type": "ed25519", "derived": True},
        divergence="DV-06",
    ),
    delete("sys/mounts/ti"),
]
VERSIONS = [
    post("sys/mounts/ti", {"type": "transit"}),
    get("ti/wrapping_key", save=["wrapping:data.public_key"]),
    whole("a", "bytes32", exportable=True, allow_plaintext_backup=True),
    get("ti/keys/a"),
    get("ti/export/encryption-key/a"),
    version("a", "bytes32"),
    get("ti/keys/a"),
    no_version("a", {}),
    no_version("a", {"ciphertext": "{wrapped_bytes32}", "version": 1}),
    no_version("a", {"ciphertext": "{wrapped_bytes32}", "version": 9}),
    no_version("a", {"ciphertext": "{wrapped_bytes32}", "version": -1}),
    no_version("a", {"ciphertext": "{wrapped_bytes32}", "version": 0}),
    no_version("a", {"ciphertext": "{wrapped_bytes16}"}),
    no_version("a", {"public_key": "x"}),
    no_version("nope", {"ciphertext": "{wrapped_bytes32}"}),
    no_version("nope", {}),
    post("ti/keys/a/rotate", {}, divergence=FAULT),
    post("ti/keys/a/config", {"auto_rotate_period": "5h"}, divergence="DV-06"),
    post("ti/keys/a/config", {"deletion_allowed": True, "auto_rotate_period": 0}),
    delete("ti/keys/a/soft-delete"),
    no_version("a", {"ciphertext": "{wrapped_bytes32}"}),
    refused("a", {"ciphertext": "{wrapped_bytes32}"}),
    post("ti/keys/a/soft-delete-restore", {}),
    version("a", "bytes32"),
    delete("ti/keys/a"),
    whole("a", "bytes32"),
    get("ti/keys/a"),
    whole("r", "bytes32", allow_rotation=True, auto_rotate_period="5h"),
    get("ti/keys/r"),
    version("r", "bytes32"),
    post("ti/keys/r/rotate", {}),
    get("ti/keys/r"),
    no_version("r", {"ciphertext": "{wrapped_bytes32}"}),
    post("ti/keys/r/rotate", {}),
    post("ti/keys/made", {}),
    no_version("made", {"ciphertext": "{wrapped_bytes32}"}),
    refused("made", {"ciphertext": "{wrapped_bytes32}"}),
    whole("d", "bytes32", derived=True, allow_rotation=True),
    get("ti/keys/d"),
    post("ti/encrypt/d", {"plaintext": "AAAA"}),
    post("ti/encrypt/d", {"plaintext": "AAAA", "context": "AAAA"}, save=["text:data.ciphertext"]),
    post("ti/decrypt/d", {"ciphertext": "{text}", "context": "AAAA"}),
    post("ti/decrypt/d", {"ciphertext": "{text}", "context": "AAAB"}),
    post("ti/keys/d/rotate", {}),
    post("ti/rewrap/d", {"ciphertext": "{text}", "context": "AAAA"}),
    get("ti/keys/d"),
    whole("d128", "bytes16", type="aes128-gcm96", derived=True),
    post("ti/encrypt/d128", {"plaintext": "AAAA", "context": "AAAA"}),
    whole("dc", "bytes32", type="chacha20-poly1305", derived=True),
    post("ti/encrypt/dc", {"plaintext": "AAAA", "context": "AAAA"}),
    delete("sys/mounts/ti"),
]
WHOLE = [
    post("sys/mounts/ti", {"type": "transit"}),
    get("ti/wrapping_key", save=["wrapping:data.public_key"]),
    *(
        step
        for kind, pair in PAIRS.items()
        for step in (
            whole(pair, pair, type=kind, exportable=True),
            get(f"ti/keys/{pair}"),
            post(f"ti/sign/{pair}", INPUT, save=["signature:data.signature"]),
            post(f"ti/verify/{pair}", {**INPUT, "signature": "{signature}"}),
            get(f"ti/export/signing-key/{pair}"),
        )
    ),
    refused("x", {"ciphertext": "{wrapped_rsa3072}", "type": "rsa-2048"}),
    refused("x", {"ciphertext": "{wrapped_p384}", "type": "ecdsa-p256"}),
    refused("x", {"ciphertext": "{wrapped_p256}", "type": "rsa-2048"}),
    refused("x", {"ciphertext": "{wrapped_rsa2048}", "type": "ecdsa-p256"}),
    refused("x", {"ciphertext": "{wrapped_p256}", "type": "ed25519"}),
    refused("x", {"ciphertext": "{wrapped_ed25519}", "type": "mldsa-44"}),
    refused("x", {"ciphertext": "{wrapped_mldsa65}", "type": "mldsa-44"}),
    refused("x", {"ciphertext": "{wrapped_bytes32}", "type": "ecdsa-p256"}),
    refused("x", {"ciphertext": "{wrapped_old_rsa2048}", "type": "rsa-2048"}),
    refused("x", {"ciphertext": "{wrapped_old_p256}", "type": "ecdsa-p256"}),
    whole("long", "long_p256", type="ecdsa-p256", divergence=STRICT),
    whole("pss", "pss_rsa2048", type="rsa-2048"),
    post("ti/sign/pss", {**INPUT, "signature_algorithm": "pkcs1v15"}),
    version("p256", "p256_b"),
    no_version("p256", {"ciphertext": "{wrapped_p384}"}),
    no_version("p256", {"public_key": public_pem("p384")}),
    no_version("p256", {"ciphertext": "{wrapped_p256}", "version": 1}),
    get("ti/keys/p256"),
    delete("sys/mounts/ti"),
]
PUBLIC = [
    post("sys/mounts/ti", {"type": "transit"}),
    get("ti/wrapping_key", save=["wrapping:data.public_key"]),
    *(
        step
        for kind, pair in PAIRS.items()
        for step in (
            post(
                f"ti/keys/{pair}/import",
                {"type": kind, "public_key": public_pem(pair), "exportable": True},
            ),
            get(f"ti/keys/{pair}"),
            post(f"ti/sign/{pair}", {"input": "AAAA"}, divergence=FAULT),
            get(f"ti/export/public-key/{pair}"),
            get(f"ti/export/signing-key/{pair}"),
            post(f"ti/hmac/{pair}", {"input": "AAAA"}, save=["mac:data.hmac"]),
            version(pair, pair),
            post(f"ti/verify/{pair}", {"input": "AAAA", "hmac": "{mac}"}),
            post(f"ti/sign/{pair}", INPUT, save=["signature:data.signature"]),
            post(f"ti/verify/{pair}", {**INPUT, "signature": "{signature}"}),
        )
    ),
    post("ti/keys/e/import", {"type": "rsa-2048", "public_key": public_pem("rsa2048_b")}),
    post("ti/encrypt/e", {"plaintext": "AAAA"}, save=["text:data.ciphertext"]),
    post("ti/decrypt/e", {"ciphertext": "{text}"}, divergence=FAULT),
    post("ti/rewrap/e", {"ciphertext": "{text}"}, divergence=FAULT),
    version("e", "rsa2048_b"),
    post("ti/decrypt/e", {"ciphertext": "{text}"}),
    refused("x", {"type": "ecdsa-p256", "public_key": "junk"}),
    refused("x", {"type": "ecdsa-p256", "public_key": ""}),
    refused("x", {"type": "ecdsa-p256", "public_key": public_pem("p384")}),
    refused("x", {"type": "ecdsa-p256", "public_key": public_pem("rsa2048")}),
    refused("x", {"type": "rsa-2048", "public_key": public_pem("rsa3072")}),
    refused("x", {"type": "mldsa-44", "public_key": public_pem("mldsa65")}),
    refused("x", {"type": "hmac", "public_key": public_pem("p256")}),
    refused("x", {"type": "ed25519", "public_key": public_pem("ed25519"), "derived": True}),
    post(
        "ti/keys/label/import",
        {"type": "ecdsa-p256", "public_key": public_pem("p256").replace("PUBLIC KEY", "KEY")},
        divergence=STRICT,
    ),
    post(
        "ti/keys/both/import",
        {"type": "ecdsa-p256", "public_key": "junk", "ciphertext": "{wrapped_p256}"},
    ),
    post(
        "ti/keys/f/import", {"type": "ecdsa-p256", "public_key": public_pem("p256"), "allow_rotation": True}
    ),
    version("f", "p256_b"),
    get("ti/keys/f"),
    no_version("f", {"version": 1, "ciphertext": "{wrapped_p256_b}"}),
    no_version("f", {"version": 1, "public_key": public_pem("p256")}),
    no_version("f", {"version": 2, "ciphertext": "{wrapped_p256_b}"}),
    version("f", "p256", version=1),
    no_version("f", {"version": 1, "ciphertext": "{wrapped_p256}"}),
    post("ti/sign/f", {"input": "AAAA", "key_version": 1}),
    post("ti/keys/f/import_version", {"public_key": public_pem("p256_c")}),
    post("ti/sign/f", {"input": "AAAA"}, divergence=FAULT),
    post("ti/sign/f", {"batch_input": [{"input": "AAAA"}]}),
    post("ti/keys/f/config", {"min_decryption_version": 3}),
    no_version("f", {"version": 2, "ciphertext": "{wrapped_p256}"}),
    post("ti/keys/f/rotate", {}),
    get("ti/keys/f"),
    post("ti/sign/f", {"input": "AAAA"}),
    delete("sys/mounts/ti"),
]
SCENARIOS = [
    Scenario("transit", "import", SYMMETRIC),
    Scenario("transit", "imported-versions", VERSIONS),
    Scenario("transit", "imported-pairs", WHOLE),
    Scenario("transit", "imported-public", PUBLIC),
]

# SPDX-License-Identifier: EUPL-1.2
"""transit: keys that are agreed on with somebody else (ECDH), what becomes of them, and what is refused."""

from tests.conformance.scenario import Scenario, Step, delete, get, lst, post

P256 = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjlM7b6C/e0YluzBmfAH7YH75+Lio\n"
    "D+9bMAYocDGHsqNz6x294DMYNm0Gn4Om9ZAAU8c2M8sEGyHFXhqGwfQAtA==\n"
    "-----END PUBLIC KEY-----\n"
)
P384 = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEKDwdc2XOR4jyn46/I07f/q1v6Zf76l/6\n"
    "LVjMnfp7HFCLBVJvVbnrsgQPBbSPttDhlHXJkGHkG4i6Uu/bjBaQRxph2GfteZcp\n"
    "2cks0B29IlYw2E7eMqePnmRmTNrFEu+M\n"
    "-----END PUBLIC KEY-----\n"
)
P521 = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAVtXR2Z1bf2NG7rZf2gsHOgxfIuDo\n"
    "9UgyKPAY0sL3EUxdjDCNCr/GmNjJpt8w3OO7xG+VP1D9wmGaAc6tiCgW7NQAPS0b\n"
    "fZuqoqEQ0dgxejnWhHi1xYLQKCTw3XHb2Yomy95Va9Dyk83sniuVI6NFkc4aX552\n"
    "cSpd3vx7XGuLyQUlJRs=\n"
    "-----END PUBLIC KEY-----\n"
)
ED25519 = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n"
    "-----END PUBLIC KEY-----\n"
)
RSA = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA++y1Ct0m11UmR/lRarEJ\n"
    "Iqivwe/XP7nC3V2DtgQTpEdeyXAPEXzkm9txKHYMkUzbqif+DFa6krPoQdzxQNfk\n"
    "kEkiOb2aGlQ9x5qWEXkNnpmUnZ3SHe5mA8A7FNc8/A4r6FeBYYchwzKh8z945Iq3\n"
    "a+su7aF3/m6CVBFmkpDUELRewYJKlEcC9gOt7VFqeRvfxpD9292Ue3vGll+FH+nx\n"
    "yZz+0X0H2F3BusZWwUbxrRVa9ImkqI2PC/cqP9d+ZZY3E6pnhSQQ2Fc8dJ/Db11m\n"
    "tiVgteBx/lhCTHIlC+xdmJ7SHSAPpDpEU5PYtA+NpDn4MNoaDr10hskn93Fx/yMi\n"
    "IQIDAQAB\n"
    "-----END PUBLIC KEY-----\n"
)
CERTIFICATE = (
    "-----BEGIN CERTIFICATE-----\n"
    "MIHtMIGToAMCAQICAQUwCgYIKoZIzj0EAwIwADAeFw0yNjAxMDEwMDAwMDBaFw0y\n"
    "NjAxMDEwMDAwMDBaMAAwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASOUztvoL97\n"
    "RiW7MGZ8Aftgfvn4uKgP71swBihwMYeyo3PrHb3gMxg2bQafg6b1kABTxzYzywQb\n"
    "IcVeGobB9AC0MAoGCCqGSM49BAMCA0kAMEYCIQClbRSgk2tqHfmVsqtocbg8OsvH\n"
    "I6kEyLa8HWHgE90tjwIhAN+EUxp5D+mR6/jXDLjW0L1XZ+fF5zEROMkJV017d0Aq\n"
    "-----END CERTIFICATE-----\n"
)


def agree(name: str, divergence: str = "", **body: object) -> Step:
    """Agree on a key with the holder of `P256`, unless `body` says otherwise."""
    return post(
        f"tx/derive-key/{name}",
        {"base_key_name": "p", "peer_public_key": P256, **body},
        divergence=divergence,
    )


AGREEMENT = [
    post("sys/mounts/tx", {"type": "transit"}),
    post("tx/keys/p", {"type": "ecdsa-p256"}),
    post("tx/keys/p3", {"type": "ecdsa-p384"}),
    post("tx/keys/p5", {"type": "ecdsa-p521"}),
    post("tx/keys/e", {"type": "ed25519"}),
    post("tx/keys/r", {"type": "rsa-2048"}),
    post("tx/keys/a", {}),
    post("tx/keys/a1", {"type": "aes128-gcm96"}),
    post("tx/keys/h", {"type": "hmac", "key_size": 64}),
    post("tx/keys/v", {"derived": True}),
    agree("new"),
    get("tx/keys/new"),
    agree("new"),
    get("tx/keys/new"),
    post("tx/encrypt/new", {"plaintext": "YQ==", "key_version": 1}, save=("text:data.ciphertext",), shape=3),
    post("tx/decrypt/new", {"ciphertext": "{text}"}),
    post("tx/derive-key/x", {}),
    post("tx/derive-key/x", {"base_key_name": "p"}),
    agree("x", base_key_name="", divergence="DV-07"),
    agree("x", base_key_name="zz"),
    agree("x", base_key_name="a"),
    agree("x", base_key_name="e"),
    agree("x", base_key_name="r"),
    agree("x", base_key_version=2, divergence="DV-07"),
    agree("x", base_key_version=-1, divergence="DV-07"),
    agree("x", base_key_version="x"),
    agree("one", base_key_version=1),
    agree("text", base_key_version="1"),
    agree("x", peer_public_key=P384, divergence="DV-07"),
    agree("x", base_key_name="p3", divergence="DV-07"),
    agree("x", peer_public_key=RSA, divergence="DV-07"),
    agree("x", peer_public_key=ED25519, divergence="DV-07"),
    agree("x", peer_public_key="x", divergence="DV-07"),
    agree("x", peer_public_key=P256 + "rubbish", divergence="DV-07"),
    agree("x", peer_public_key=P256.replace("A", "B"), divergence="DV-07"),
    agree("certified", peer_public_key=CERTIFICATE),
    agree("spaced", peer_public_key="\n" + P256.rstrip()),
    agree("x", derived_key_type="ecdsa-p256", divergence="DV-02"),
    agree("x", derived_key_type="nope", divergence="DV-02"),
    agree("x", derived_key_type="", divergence="DV-02"),
    agree("x", derived_key_type="rsa-2048", divergence="DV-02"),
    agree("upper", derived_key_type="AES128-GCM96"),
    get("tx/keys/upper"),
    agree("chacha", derived_key_type="chacha20-poly1305"),
    get("tx/keys/chacha"),
    agree("xchacha", derived_key_type="xchacha20-poly1305"),
    get("tx/keys/xchacha"),
    agree("x", key_derivation_algorithm="x", divergence="DV-02"),
    agree("x", key_derivation_algorithm="ECDH", divergence="DV-02"),
    agree("p384", base_key_name="p3", peer_public_key=P384),
    agree("p521", base_key_name="p5", peer_public_key=P521, derived_key_type="aes128-gcm96"),
    agree("new", derived_key_type="aes128-gcm96", divergence="DV-07"),
    agree("a1", divergence="DV-07"),
    agree("a1", derived_key_type="aes128-gcm96"),
    agree("a", derived_key_type="chacha20-poly1305"),
    get("tx/keys/a"),
    post("tx/keys/a/rotate", {}),
    agree("e", divergence="DV-07"),
    agree("p", divergence="DV-07"),
    agree("h"),
    get("tx/keys/h"),
    agree("v"),
    get("tx/keys/v"),
    post("tx/keys/new/rotate", {}, divergence="DV-07"),
    post("tx/keys/new/config", {"auto_rotate_period": "2h"}, divergence="DV-06"),
    post("tx/keys/new/config", {"auto_rotate_period": 0}),
    post("tx/keys/new/config", {"exportable": True}),
    get("tx/export/encryption-key/new", shape=3),
    delete("tx/keys/new/soft-delete"),
    agree("new", divergence="DV-07"),
    post("tx/keys/new/rotate", {}, divergence="DV-07"),
    post("tx/keys/new/soft-delete-restore", {}),
    delete("tx/keys/p/soft-delete"),
    agree("put-away", divergence="DV-06"),
    post("tx/keys/p/soft-delete-restore", {}),
    post("tx/keys/p/rotate", {}),
    post("tx/keys/p/config", {"min_encryption_version": 2}),
    agree("older", base_key_version=1),
    post("tx/keys/p/config", {"min_decryption_version": 2}),
    agree("x", base_key_version=1, divergence="DV-07"),
    agree("newest"),
    get("tx/derive-key/new"),
    lst("tx/derive-key"),
    delete("tx/derive-key/new"),
    agree("-x"),
    get("tx/keys/x"),
    delete("sys/mounts/tx"),
]
SCENARIOS = [Scenario("transit", "agreement", AGREEMENT)]

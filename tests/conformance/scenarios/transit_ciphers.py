# SPDX-License-Identifier: EUPL-1.2
"""transit: each kind of symmetric key alike: encrypted, decrypted, wrapped anew, derived, convergent, and what is refused."""

from collections.abc import Iterator

from tests.conformance.scenario import Scenario, Step, delete, get, post

KINDS = ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305")
TEXT = {"plaintext": "aGVsbG8="}
BOUND = {"associated_data": "YWJvdXQ="}
CONTEXT = {"context": "b25l"}


def _of(kind: str) -> Iterator[Step]:
    key, derived, convergent, new = (f"{part}-{kind}" for part in ("k", "d", "c", "n"))
    yield post(f"ti/keys/{key}", {"type": kind, "exportable": True})
    yield get(f"ti/keys/{key}")
    yield post(f"ti/encrypt/{key}", TEXT, save=("text:data.ciphertext",))
    yield post(f"ti/decrypt/{key}", {"ciphertext": "{text}"})
    yield post(f"ti/decrypt/{key}", {"ciphertext": "{text}", **BOUND})
    yield post(f"ti/encrypt/{key}", {**TEXT, **BOUND}, save=("bound:data.ciphertext",))
    yield post(f"ti/decrypt/{key}", {"ciphertext": "{bound}", **BOUND})
    yield post(f"ti/decrypt/{key}", {"ciphertext": "{bound}"})
    yield post(f"ti/keys/{key}/rotate", {})
    yield post(f"ti/rewrap/{key}", {"ciphertext": "{text}"}, save=("anew:data.ciphertext",))
    yield post(f"ti/decrypt/{key}", {"ciphertext": "{anew}"})
    yield post(f"ti/encrypt/{key}", {**TEXT, "key_version": 1})
    for size in (0, 8, 12, 23, 24, 28, 39, 40, 41):
        yield post(f"ti/decrypt/{key}", {"ciphertext": "vault:v1:" + _zeros(size)})
    yield get(f"ti/export/encryption-key/{key}")
    yield get(f"ti/export/encryption-key/{key}?format=raw")
    yield get(f"ti/export/encryption-key/{key}?format=pem", divergence="DV-07")
    yield get(f"ti/export/public-key/{key}", divergence="DV-07")
    yield post(f"ti/sign/{key}", {"input": "YQ=="})
    yield post(f"ti/hmac/{key}", {"input": "YQ=="}, save=("mac:data.hmac",))
    yield post(f"ti/verify/{key}", {"input": "YQ==", "hmac": "{mac}"})
    yield post(f"ti/datakey/plaintext/{key}", {}, save=("wrapped:data.ciphertext",), shape=3)
    yield post(f"ti/decrypt/{key}", {"ciphertext": "{wrapped}"}, shape=3)
    yield post(f"ti/keys/{derived}", {"type": kind, "derived": True})
    yield post(f"ti/encrypt/{derived}", TEXT)
    yield post(f"ti/encrypt/{derived}", {**TEXT, **CONTEXT}, save=("text:data.ciphertext",))
    yield post(f"ti/decrypt/{derived}", {"ciphertext": "{text}", **CONTEXT})
    yield post(f"ti/decrypt/{derived}", {"ciphertext": "{text}", "context": "dHdv"})
    yield post(f"ti/keys/{convergent}", {"type": kind, "derived": True, "convergent_encryption": True})
    yield post(f"ti/encrypt/{convergent}", {**TEXT, **CONTEXT}, save=("same:data.ciphertext",))
    yield post(f"ti/encrypt/{convergent}", {**TEXT, **CONTEXT})
    yield post(f"ti/decrypt/{convergent}", {"ciphertext": "{same}", **CONTEXT})
    yield post(f"ti/encrypt/{new}", {**TEXT, "type": kind})
    yield get(f"ti/keys/{new}")
    yield post(
        f"ti/encrypt/{key}",
        {"batch_input": [TEXT, {**TEXT, **BOUND}, {"plaintext": ""}, {"plaintext": "x"}]},
    )


def _zeros(size: int) -> str:
    """So many bytes of zero in base64."""
    return "AAAA" * (size // 3) + ("", "AA==", "AAA=")[size % 3]


CIPHERS = [
    post("sys/mounts/ti", {"type": "transit"}),
    *(step for kind in KINDS for step in _of(kind)),
    get("ti/keys/k-aes256-gcm96?usage=true", divergence="DV-38"),
    post("ti/keys/hybrid", {"type": "mlkem768-x25519"}, divergence="DV-38"),
    post("ti/keys/x", {"type": "XChaCha20-Poly1305"}, divergence="DV-02"),
    delete("sys/mounts/ti"),
]
SCENARIOS = [Scenario("transit", "ciphers", CIPHERS)]

# SPDX-License-Identifier: EUPL-1.2
"""Keys in devices answer as OpenBao's do. Its device is another transit of its own (KMS `transit`), ours is SoftHSM."""

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import pytest

from tests.integration.coffre import Place
from tests.integration.softhsm import CONFIGS, transit_bench

TEXT: Final = base64.b64encode(b"card 4711").decode()
AAD: Final = base64.b64encode(b"tenant 7").decode()
KINDS: Final = {"aes": "aes256-gcm96", "rsa": "rsa-3072", "p256": "ecdsa-p256"}
DEVICE: Final = ("failed to encrypt with external key", "failed to decrypt with external key")

Ask = Callable[[str, str, object], tuple[int, Any]]


class Servers(NamedTuple):
    """OpenBao and us; each has a mount `transit` with the keys of `KINDS` in a device."""

    openbao: Ask
    coffre: Ask


def _openbao(place: Place) -> Ask:
    """Return how the server is asked, once it has such keys."""
    session, headers = place.client().session, {"X-Vault-Token": place.root}

    def ask(method: str, path: str, body: object = None) -> tuple[int, Any]:
        url = f"{place.address}/v1/{path}"
        answer = session.request(method, url, json=body, headers=headers, verify=str(place.authority))
        return answer.status_code, answer.json() if answer.content else None

    for mount in ("device", "ext"):
        assert ask("POST", f"sys/mounts/{mount}", {"type": "transit"})[0] == 204
    config = {
        "plugin": "transit",
        "address": place.address,
        "token": place.root,
        "mount_path": "device",
        "tls_ca_cert_bytes": place.authority.read_text(),
    }
    assert ask("POST", f"{CONFIGS}/c", config)[0] == 204
    for name, kind in KINDS.items():
        assert ask("POST", f"device/keys/{name}", {"type": kind})[0] == 200
        assert ask("POST", f"{CONFIGS}/c/keys/{name}", {"name": name, "version": 1})[0] == 204
        assert ask("POST", f"{CONFIGS}/c/keys/{name}/grants/ext", {})[0] == 204
        body = {"type": "external-key", "external_key_ref": f"c:{name}"}
        assert ask("POST", f"ext/keys/{name}", body)[0] == 200
    return ask


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, places: Callable[[str], Place]) -> Iterator[Servers]:
    with transit_bench(tmp_path_factory.mktemp("ext"), mount="ext") as bench:
        yield Servers(_openbao(places("openbao")), bench.client.ask)


def _shape(value: object) -> object:
    """What is the same of two ciphertexts, MACs, or words about a device."""
    if isinstance(value, Mapping):
        return {name: _shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shape(one) for one in value]
    if isinstance(value, str) and value.startswith("vault:v"):
        prefix, _, payload = value.rpartition(":")
        return prefix, len(base64.b64decode(payload))
    if isinstance(value, str) and value.startswith(DEVICE):
        return value.partition(":")[0]
    return value


_PLAIN: Final = {"plaintext": TEXT}
_SHORT: Final = "vault:v1:YWJj"
_STEPS: Final[list[tuple[str, object]]] = [
    ("encrypt/aes", _PLAIN),
    ("encrypt/aes", {"plaintext": ""}),
    ("encrypt/aes", {}),
    ("encrypt/aes", {"plaintext": "!"}),
    ("encrypt/aes", {**_PLAIN, "associated_data": AAD}),
    ("encrypt/aes", {**_PLAIN, "context": AAD}),
    ("encrypt/aes", {**_PLAIN, "key_version": 1}),
    ("encrypt/aes", {**_PLAIN, "key_version": 2}),
    ("encrypt/aes", {**_PLAIN, "key_version": -1}),
    ("encrypt/aes", {"batch_input": [{**_PLAIN, "reference": "r"}, {"plaintext": "!"}]}),
    (
        "encrypt/aes",
        {"batch_input": [{**_PLAIN, "key_version": 7}, _PLAIN], "partial_failure_response_code": 207},
    ),
    ("encrypt/aes", {"batch_input": [{**_PLAIN, "context": AAD}, _PLAIN]}),
    ("encrypt/rsa", _PLAIN),
    ("encrypt/rsa", {**_PLAIN, "associated_data": AAD}),
    ("encrypt/rsa", {"plaintext": base64.b64encode(bytes(400)).decode()}),
    ("encrypt/rsa", {"batch_input": [{**_PLAIN, "associated_data": AAD}]}),
    ("encrypt/p256", _PLAIN),
    ("encrypt/p256", {"batch_input": [_PLAIN]}),
    ("decrypt/aes", {}),
    ("decrypt/aes", {"ciphertext": _SHORT}),
    ("decrypt/aes", {"ciphertext": "vault:v1:"}),
    ("decrypt/aes", {"ciphertext": "vault:v1:!"}),
    ("decrypt/aes", {"ciphertext": "vault:v2:YWJj"}),
    ("decrypt/aes", {"ciphertext": "vault:v1:" + "YWJj" * 20}),
    ("decrypt/aes", {"ciphertext": "YWJj"}),
    ("decrypt/aes", {"batch_input": [{"ciphertext": _SHORT}]}),
    ("decrypt/rsa", {"ciphertext": _SHORT}),
    ("decrypt/rsa", {"ciphertext": _SHORT, "associated_data": AAD}),
    ("decrypt/rsa", {"batch_input": [{"ciphertext": _SHORT}]}),
    ("decrypt/p256", {"ciphertext": _SHORT}),
    ("hmac/aes", {"input": TEXT}),
    ("hmac/p256/sha2-512", {"input": TEXT}),
    ("keys/none", {"type": "external-key", "external_key_ref": "c:none"}),
    ("keys/derived", {"type": "external-key", "external_key_ref": "c:aes", "auto_rotate_period": "2h"}),
]


@pytest.mark.parametrize(("path", "body"), _STEPS)
def test_both_answer_alike(servers: Servers, path: str, body: object) -> None:
    (status, answer), (ours, own) = (ask("POST", f"ext/{path}", body) for ask in servers)
    assert (ours, _shape(own.get("data"))) == (status, _shape(answer.get("data"))), (own, answer)
    assert _shape(own.get("errors")) == _shape(answer.get("errors"))


def test_both_describe_such_a_key_alike(servers: Servers) -> None:
    for name in KINDS:
        shown = [ask("GET", f"ext/keys/{name}", None)[1]["data"] for ask in servers]
        assert shown[0] == shown[1]


def test_both_decrypt_what_they_encrypted_and_heed_grants_and_versions(servers: Servers) -> None:
    seen = []
    for ask in servers:
        found: list[object] = []

        def post(path: str, body: object, ask: Ask = ask, found: list[object] = found) -> Any:
            status, answer = ask("POST", f"ext/{path}", body)
            said = {name: answer[name] for name in ("data", "errors") if name in (answer or {})}
            found.append((path, status, _shape(said)))
            return answer

        post("keys/turning", {"type": "external-key", "external_key_ref": "c:aes"})
        made = [post("encrypt/turning", {**_PLAIN, "associated_data": AAD})["data"]["ciphertext"]]
        post("keys/turning/rotate", {})
        post("keys/turning/rotate", {"external_key_ref": "c:none"})
        post("keys/turning/rotate", {"external_key_ref": "c:rsa"})
        made.append(post("encrypt/turning", _PLAIN)["data"]["ciphertext"])
        post("encrypt/turning", {**_PLAIN, "key_version": 1})
        batch = [
            {"ciphertext": made[0], "associated_data": AAD},
            {"ciphertext": made[1]},
            {"ciphertext": made[0]},
        ]
        post("decrypt/turning", {"batch_input": batch, "partial_failure_response_code": 207})
        post("keys/turning/config", {"min_decryption_version": 2})
        post("decrypt/turning", batch[0])
        post("keys/turning/config", {"auto_rotate_period": "2h"})
        assert ask("DELETE", f"{CONFIGS}/c/keys/rsa/grants/ext", None)[0] == 204
        post("encrypt/turning", _PLAIN)
        post("decrypt/turning", batch[1])
        post("encrypt/turning", {**_PLAIN, "associated_data": AAD})
        assert ask("POST", f"{CONFIGS}/c/keys/rsa/grants/ext", {})[0] == 204
        post("decrypt/turning", batch[1])
        seen.append(found)
    for theirs, ours in zip(*seen, strict=True):
        assert ours == theirs

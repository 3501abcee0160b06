# SPDX-License-Identifier: EUPL-1.2
"""Keys of transit in a SoftHSM token that encrypt: AES-GCM by the token, RSA-OAEP with its public half here."""

import base64
import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.hsm.tokens import PIN
from tests.integration.softhsm import CONFIGS, HSM, TEXT, Bench, transit_bench

AAD = base64.b64encode(b"tenant 7").decode()
WRONG = "failed to decrypt with external key: the ciphertext is not of this key, or was changed"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with transit_bench(tmp_path_factory.mktemp("transit")) as made:
        yield made


@pytest.mark.executed
@pytest.mark.parametrize("key", ["aes", "rsa"])
def test_what_was_encrypted_is_decrypted_alone_and_in_batches(bench: Bench, key: str) -> None:
    made = bench.sealed(key)
    assert made.startswith("vault:v1:")
    assert bench.data(f"decrypt/{key}", {"ciphertext": made}) == {"plaintext": TEXT}
    assert bench.data(f"decrypt/{key}", {"ciphertext": bench.sealed(key, plaintext="")}) == {"plaintext": ""}
    items = [{"plaintext": TEXT, "reference": str(number)} for number in range(5)]
    found = bench.data(f"encrypt/{key}", {"batch_input": items})["batch_results"]
    assert [one["reference"] for one in found] == ["0", "1", "2", "3", "4"]
    assert len({one["ciphertext"] for one in found}) == 5
    back = bench.data(f"decrypt/{key}", {"batch_input": [{"ciphertext": one["ciphertext"]} for one in found]})
    assert [one["plaintext"] for one in back["batch_results"]] == [TEXT] * 5
    mixed = {
        "batch_input": [{"ciphertext": made}, {"ciphertext": made[:-8]}],
        "partial_failure_response_code": 207,
    }
    status, answer = bench.client.ask("POST", f"transit/decrypt/{key}", mixed)
    assert (status, [one.get("error", "") for one in answer["data"]["batch_results"]]) == (207, ["", WRONG])
    key_of_data = bench.data(f"datakey/plaintext/{key}", {"bits": 512})
    opened = bench.data(f"decrypt/{key}", {"ciphertext": key_of_data["ciphertext"]})
    assert opened == {"plaintext": key_of_data["plaintext"]}
    assert "plaintext" not in bench.data(f"datakey/wrapped/{key}", {})
    again = bench.data(f"rewrap/{key}", {"ciphertext": made})
    assert again["ciphertext"] != made
    assert bench.data(f"decrypt/{key}", {"ciphertext": again["ciphertext"]}) == {"plaintext": TEXT}
    mac = bench.data(f"hmac/{key}", {"input": TEXT})["hmac"]
    assert bench.data(f"verify/{key}", {"input": TEXT, "hmac": mac}) == {"valid": True}


def test_aes_binds_what_goes_with_a_text_and_rsa_refuses_it(bench: Bench) -> None:
    made = bench.sealed("aes", associated_data=AAD)
    body = {"ciphertext": made, "associated_data": AAD}
    assert bench.data("decrypt/aes", body) == {"plaintext": TEXT}
    assert bench.data(
        "decrypt/aes", {**body, "ciphertext": bench.data("rewrap/aes", body)["ciphertext"]}
    ) == {"plaintext": TEXT}
    assert bench.refused("decrypt/aes", {"ciphertext": made}) == (400, WRONG)
    for verb, body in (("encrypt", {"plaintext": TEXT}), ("decrypt", {"ciphertext": bench.sealed("rsa")})):
        unbound = "'associated_data' provided for an RSA key, which would not authenticate it"
        problem = f"failed to {verb} with external key: {unbound}"
        assert bench.refused(f"{verb}/rsa", {**body, "associated_data": AAD}) == (400, problem)


def test_what_others_encrypt_with_the_public_half_is_decrypted(bench: Bench) -> None:
    pem = bench.client.ask("GET", "transit/export/public-key/rsa")[1]["data"]["keys"]["1"]
    public = load_pem_public_key(pem.encode())
    assert isinstance(public, RSAPublicKey)
    made = public.encrypt(b"card 4711", OAEP(MGF1(SHA1()), SHA1(), None))  # noqa: S303 - SoftHSM knows no other
    ciphertext = f"vault:v1:{base64.b64encode(made).decode()}"
    assert bench.data("decrypt/rsa", {"ciphertext": ciphertext}) == {"plaintext": TEXT}


def _changed(ciphertext: str) -> list[str]:
    """Wrong lengths, changed bits, and nothing at all."""
    prefix, raw = ciphertext[:9], base64.b64decode(ciphertext[9:])
    flipped = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in (0, 1, 13, len(raw) // 2, -1)]
    wrong = [b"", b"x", raw[:12], raw[:27], raw[:-1], raw + b"x", b"\xff" * len(raw), bytes(5000), *flipped]
    return [prefix + base64.b64encode(one).decode() for one in wrong]


@pytest.mark.parametrize("key", ["aes", "rsa"])
def test_every_wrong_ciphertext_is_answered_alike(bench: Bench, key: str) -> None:
    made = bench.sealed(key)
    answers = {bench.refused(f"decrypt/{key}", {"ciphertext": wrong}) for wrong in _changed(made)}
    assert answers == {(400, WRONG)}
    assert {bench.refused(f"rewrap/{key}", {"ciphertext": wrong}) for wrong in _changed(made)} == answers
    body = {"batch_input": [{"ciphertext": wrong} for wrong in _changed(made)]}
    found = bench.client.ask("POST", f"transit/decrypt/{key}", body)
    assert (found[0], {one["error"] for one in found[1]["data"]["batch_results"]}) == (400, {WRONG})
    bench.insist(key, made)


def test_what_does_not_fit_or_does_not_encrypt_is_refused(bench: Bench) -> None:
    large = base64.b64encode(bytes(61_441)).decode()
    for text in (large, base64.b64encode(bytes(1_000_000)).decode()):
        status, problem = bench.refused("encrypt/aes", {"plaintext": text})
        assert status == 400
        assert problem.startswith("failed to encrypt with external key: it takes 61440 bytes at once")
    most = base64.b64encode(bytes(61_440)).decode()
    made = bench.data("encrypt/aes", {"plaintext": most})["ciphertext"]
    assert bench.data("decrypt/aes", {"ciphertext": made})["plaintext"] == most
    assert bench.refused("encrypt/rsa", {"plaintext": base64.b64encode(bytes(400)).decode()}) == (
        400, "failed to encrypt with external key: message too long for RSA key size"
    )  # fmt: skip
    signs = 'with external key: key "c:p256" is a pair that only signs'
    assert bench.refused("encrypt/p256", {"plaintext": TEXT}) == (400, f"failed to encrypt {signs}")
    assert bench.refused("decrypt/p256", {"ciphertext": "vault:v1:YWJj"}) == (
        400,
        f"failed to decrypt {signs}",
    )
    none = "this version is an AES key in a device: it neither signs nor verifies, and has no public half"
    for path, body in (
        ("sign/aes", {"input": TEXT}),
        ("verify/aes", {"input": TEXT, "signature": "vault:v1:YWJj"}),
        ("keys/aes/csr", {}),
    ):
        assert bench.refused(path, body) == (400, none)
    assert bench.client.ask("GET", "transit/export/public-key/aes")[1]["errors"] == [none]


def test_a_hash_that_the_token_does_not_decrypt_with_encrypts_nothing(bench: Bench) -> None:
    """SoftHSM knows OAEP with SHA-1 alone. What was encrypted with another hash would be lost."""
    assert bench.client.ask("POST", f"{CONFIGS}/c/keys/usual", {"label": "rsa"})[0] == 204
    assert bench.client.ask("POST", f"{CONFIGS}/c/keys/usual/grants/transit")[0] == 204
    bench.data("keys/usual", {"type": "external-key", "external_key_ref": "c:usual"})
    status, problem = bench.refused("encrypt/usual", {"plaintext": TEXT})
    assert status == 400
    assert problem.startswith('failed to encrypt with external key: key "c:usual" was not seen to decrypt')
    assert "rsa_oaep_hash" in problem
    right = {"label": "rsa", "rsa_oaep_hash": "sha1"}
    assert bench.client.ask("POST", f"{CONFIGS}/c/keys/usual", right)[0] == 204
    bench.data("keys/usual/rotate", {"external_key_ref": "c:usual"})
    made = bench.sealed("usual")
    assert made.startswith("vault:v2:")
    bench.insist("usual", made)


def test_a_key_rotates_to_another_one_of_another_kind(bench: Bench) -> None:
    bench.data("keys/turning", {"type": "external-key", "external_key_ref": "c:aes"})
    made = [bench.sealed("turning")]
    for version, label in ((2, "rsa"), (3, "p256"), (4, "aes-2027")):
        shown = bench.data("keys/turning/rotate", {"external_key_ref": f"c:{label}"})
        assert shown["keys"][str(version)] == f"c:{label}"
        if label != "p256":
            made.append(bench.sealed("turning"))
    assert [one[:9] for one in made] == ["vault:v1:", "vault:v2:", "vault:v4:"]
    for one in made:
        again = bench.data("rewrap/turning", {"ciphertext": one})
        assert again["key_version"] == 4
        assert bench.data("decrypt/turning", {"ciphertext": again["ciphertext"]}) == {"plaintext": TEXT}
    assert bench.data("decrypt/turning", {"ciphertext": made[0]}) == {"plaintext": TEXT}
    older = bench.data("encrypt/turning", {"plaintext": TEXT, "key_version": 2})
    assert older["ciphertext"].startswith("vault:v2:")
    answer = bench.client.ask("GET", "transit/keys/turning?usage=true")[1]
    assert answer["data"]["usage"] == {"1": 1, "2": 2, "3": 0, "4": 4}
    assert bench.refused("decrypt/turning", {"ciphertext": made[0].replace("v1", "v4")}) == (400, WRONG)
    bench.data("keys/turning/config", {"min_decryption_version": 4})
    assert bench.refused("decrypt/turning", {"ciphertext": made[0]})[0] == 400


def test_who_has_no_grant_any_more_neither_encrypts_nor_decrypts(bench: Bench) -> None:
    made = {key: bench.sealed(key) for key in ("aes", "rsa")}
    for key, ciphertext in made.items():
        grant = f"{CONFIGS}/c/keys/{key}/grants/transit"
        assert bench.client.ask("DELETE", grant)[0] == 204
        missing = f'failed to fetch external key: mount "transit/" is missing grant for key "c:{key}"'
        for path, body in (("encrypt", {"plaintext": TEXT}), ("decrypt", {"ciphertext": ciphertext})):
            assert bench.refused(f"{path}/{key}", body) == (400, f"factory[0] {missing}")
        assert bench.client.ask("POST", grant)[0] == 204
        bench.insist(key, ciphertext)


def test_another_aes_key_of_the_name_is_not_taken_for_the_one_before(bench: Bench) -> None:
    made = bench.sealed("aes")
    assert bench.client.ask("POST", f"{CONFIGS}/c/keys/aes", {"label": "aes-2027"})[0] == 204
    another = "1 error occurred:\n\t* the device has another key of this name by now\n\n"
    assert bench.refused("encrypt/aes", {"plaintext": TEXT}) == (500, another)
    assert bench.refused("decrypt/aes", {"ciphertext": made}) == (500, another)
    assert bench.client.ask("POST", f"{CONFIGS}/c/keys/aes", {"label": "aes"})[0] == 204
    bench.insist("aes", made)


def test_the_log_names_key_and_token_and_neither_text_nor_pin(bench: Bench) -> None:
    bench.data("decrypt/aes", {"ciphertext": bench.sealed("aes")})
    bench.sealed("rsa")
    lines = [json.loads(line) for line in bench.log.read_text().splitlines()]
    used = [
        (line["request"]["path"], one)
        for line in lines
        if line["type"] == "response"
        for one in line.get("response", {}).get("external_keys", [])
    ]
    assert {"transit/encrypt/aes", "transit/decrypt/aes", "transit/encrypt/rsa"} <= {path for path, _ in used}
    assert any(one.get("key_fingerprint") and one["token_label"] == "a" for _, one in used)
    whole = bench.log.read_text()
    assert PIN not in whole
    assert TEXT not in whole


def test_the_inventory_has_a_row_for_each(bench: Bench) -> None:
    found = bench.client.ask("GET", "sys/crypto/inventory?limit=1000")[1]["data"]["inventory"]
    rows = {row["id"]: (row["algorithm"], row["bits"], row["origin"], row["pq"]) for row in found}
    for key, shown in (
        ("aes", ("aes-256-gcm", 256, "hsm", "pq")),
        ("rsa", ("rsa-3072", 3072, "hsm", "none")),
    ):
        assert rows[f"mounts/transit/{key}"] == rows[f"external/c:{key}"] == shown


@pytest.mark.parametrize("act", ["encrypt", "decrypt"])
def test_an_agent_that_is_killed_within_a_use_costs_no_answer(bench: Bench, act: str) -> None:
    made = bench.sealed("aes")
    (agent,) = bench.agents()
    os.kill(agent, signal.SIGSTOP)
    killer = threading.Timer(1.0, os.kill, (agent, signal.SIGKILL))
    killer.start()
    body = {"plaintext": TEXT} if act == "encrypt" else {"ciphertext": made}
    status, answer = bench.client.ask("POST", f"transit/{act}/aes", body)
    killer.join()
    assert status == 200 or "did not answer in time" in answer["errors"][0], answer
    if status == 200 and act == "encrypt":
        made = answer["data"]["ciphertext"]
    elif status == 200:
        assert answer["data"] == {"plaintext": TEXT}
    bench.insist("aes", made)
    assert agent not in bench.agents()


def test_a_token_that_went_away_is_missed_and_found_again(bench: Bench) -> None:
    made = bench.sealed("aes")
    (home,) = bench.token.tokens.iterdir()
    away = home.rename(bench.token.folder / "away")
    try:
        status, problem = bench.refused("decrypt/aes", {"ciphertext": made})
        assert status >= 500
        assert WRONG not in problem
    finally:
        away.rename(home)
    bench.insist("aes", made)


def test_a_wrong_pin_is_named_and_not_shown(bench: Bench) -> None:
    made = bench.sealed("aes")
    wrong = {**HSM, "pin": "wrong-pin-9", "verify": False}
    assert bench.client.ask("POST", f"{CONFIGS}/c", wrong)[0] == 204
    try:
        for _ in range(2):
            problem = bench.refused("decrypt/aes", {"ciphertext": made})[1]
            assert "the PIN is wrong" in problem
            assert "wrong-pin-9" not in problem
    finally:
        assert bench.client.ask("POST", f"{CONFIGS}/c", HSM)[0] == 204
    bench.insist("aes", made)


def test_policies_tell_who_may_encrypt_from_who_may_decrypt(bench: Bench) -> None:
    made = bench.sealed("aes")
    policy = 'path "transit/encrypt/aes" { capabilities = ["update"] }'
    assert bench.client.ask("POST", "sys/policies/acl/writer", {"policy": policy})[0] in {200, 204}
    token = bench.client.ask("POST", "auth/token/create", {"policies": ["writer"]})[1]["auth"]["client_token"]
    root, bench.client.token = bench.client.token, token
    try:
        bench.sealed("aes")
        for path in ("transit/decrypt/aes", "transit/rewrap/aes"):
            assert bench.client.ask("POST", path, {"ciphertext": made})[0] == 403
    finally:
        bench.client.token = root

# SPDX-License-Identifier: EUPL-1.2
"""Stock clients encrypt and sign through transit: hvac, and npm's node-vault; ours and the field's are one to them."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import hvac
import pytest
from hvac import exceptions

from tests.integration.clients import INSTALLED, run
from tests.integration.coffre import Place

SCRIPT = Path(__file__).parent / "node" / "transit.cjs"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def mount(root: hvac.Client, name: str) -> str:
    """A transit mount."""
    root.sys.enable_secrets_engine("transit", path=name)
    return name


def test_hvac_encrypts_decrypts_and_brings_texts_to_newer_versions(root: hvac.Client, mount: str) -> None:
    transit = root.secrets.transit
    kinds: Sequence[str] = (
        "aes128-gcm96",
        "aes256-gcm96",
        "chacha20-poly1305",
        "xchacha20-poly1305",
        "rsa-2048",
    )
    for kind in kinds:
        root.write_data(f"{mount}/keys/{kind}", data={"type": kind})  # hvac itself knows older kinds alone
        sealed = transit.encrypt_data(kind, plaintext=text(b"secret"), mount_point=mount)["data"][
            "ciphertext"
        ]
        transit.rotate_key(kind, mount_point=mount)
        anew = transit.rewrap_data(kind, ciphertext=sealed, mount_point=mount)["data"]["ciphertext"]
        assert anew.startswith("vault:v2:")
        for one in (sealed, anew):
            opened = transit.decrypt_data(kind, ciphertext=one, mount_point=mount)["data"]["plaintext"]
            assert opened == text(b"secret")
    assert set(transit.list_keys(mount_point=mount)["data"]["keys"]) == set(kinds)
    with pytest.raises(exceptions.InvalidRequest, match="authentication failed"):
        transit.decrypt_data(kinds[0], ciphertext="vault:v1:" + text(bytes(40)), mount_point=mount)


def test_hvac_signs_verifies_and_makes_macs(root: hvac.Client, mount: str) -> None:
    transit = root.secrets.transit
    for kind in ("ed25519", "ecdsa-p256", "ecdsa-p521", "rsa-2048", "mldsa-65"):
        root.write_data(f"{mount}/keys/{kind}", data={"type": kind})  # hvac itself knows older kinds alone
        made = transit.sign_data(kind, hash_input=text(b"text"), mount_point=mount)["data"]["signature"]
        for data, good in ((b"text", True), (b"other", False)):
            found = transit.verify_signed_data(kind, text(data), signature=made, mount_point=mount)
            assert found["data"] == {"valid": good}
    mac = transit.generate_hmac("ed25519", hash_input=text(b"text"), mount_point=mount)["data"]["hmac"]
    assert transit.verify_signed_data("ed25519", text(b"text"), hmac=mac, mount_point=mount)["data"]["valid"]


def test_hvac_configures_trims_exports_and_removes(root: hvac.Client, mount: str) -> None:
    transit = root.secrets.transit
    transit.create_key("k", exportable=True, mount_point=mount)
    for _ in range(2):
        transit.rotate_key("k", mount_point=mount)
    transit.update_key_configuration(
        "k", min_decryption_version=2, min_encryption_version=3, deletion_allowed=True, mount_point=mount
    )
    transit.trim_key("k", min_version=2, mount_point=mount)
    shown = transit.read_key("k", mount_point=mount)["data"]
    assert (sorted(shown["keys"]), shown["min_available_version"], shown["latest_version"]) == (
        ["2", "3"],
        2,
        3,
    )
    exported = transit.export_key("k", "encryption-key", version="latest", mount_point=mount)["data"]["keys"]
    assert [len(base64.b64decode(key)) for key in exported.values()] == [32]
    made = transit.generate_data_key("k", "plaintext", mount_point=mount)["data"]
    opened = transit.decrypt_data("k", ciphertext=made["ciphertext"], mount_point=mount)["data"]["plaintext"]
    assert opened == made["plaintext"]
    assert (
        len(base64.b64decode(transit.generate_random_bytes(24, mount_point=mount)["data"]["random_bytes"]))
        == 24
    )
    hashed = transit.hash_data(text(b"text"), algorithm="sha2-256", mount_point=mount)["data"]["sum"]
    assert hashed == "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"
    transit.delete_key("k", mount_point=mount)
    with pytest.raises(exceptions.InvalidPath):
        transit.read_key("k", mount_point=mount)


def test_node_vault_encrypts_and_its_signatures_are_good_to_openssl(
    place: Place, mount: str, tmp_path: Path
) -> None:
    environment = {
        **place.environment(tmp_path),
        "NODE_EXTRA_CA_CERTS": str(place.authority),
        "NODE_PATH": str(INSTALLED / "node_modules"),
        "NAME": mount,
    }
    told = json.loads(run(["node", str(SCRIPT)], environment, tmp_path))
    assert told == {
        "versions": ["v1", "v2"],
        "texts": ["Grüße", "Grüße"],
        "altered": [400, "chacha20poly1305: message authentication failed"],
        "signed": {"ecdsa-p256": True, "ecdsa-p384": True, "ed25519": True},
        "batch": ["a", "b"],
        "unknown": [400, "illegal base64 data at input byte 0"],
    }

# SPDX-License-Identifier: EUPL-1.2
"""Keys of transit move between OpenBao and us: what a key made there works with here, and the other way."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import hvac
import pytest

from tests.conformance import certifier
from tests.conformance.moved_keys import public_pem, secret_of, wrap
from tests.integration.coffre import BAO, Place
from vault.engines.transit.keys.key_types import KEY_TYPES
from vault.engines.transit.moving.backup_form import NUMBERS

TEXT: Final = base64.b64encode(b"secret").decode()
CONTEXT: Final = base64.b64encode(b"one").decode()
LET: Final = {"exportable": True, "allow_plaintext_backup": True}
WAYS: Final = (("openbao", "coffre"), ("coffre", "openbao"))
SEEN: Final = (
    "a key in an argument is seen by others on this machine: give `@FILE`, or `-` for standard input"
)
KINDS: Final = tuple(NUMBERS)


class Site:
    """A mount of transit on one server."""

    def __init__(self, client: hvac.Client, mount: str) -> None:
        self.client = client
        self.mount = mount
        client.sys.enable_secrets_engine("transit", path=mount)

    def ask(self, path: str, **body: object) -> Mapping[str, Any]:
        answer = self.client.adapter.post(f"/v1/{self.mount}/{path}", json=body)
        return {} if not isinstance(answer, dict) else answer["data"]

    def reload(self) -> None:
        """Have the mount forget what it has in memory: OpenBao dies over a restored ML-DSA key that it did not read."""
        self.client.adapter.post("/v1/sys/plugins/reload/backend", json={"mounts": [f"{self.mount}/"]})

    def read(self, path: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.client.adapter.get(f"/v1/{self.mount}/{path}")["data"]
        return found

    def works(self, name: str, version: int, **more: object) -> Mapping[str, str]:
        """Make with a version all that its kind makes."""
        kind = KEY_TYPES[self.read(f"keys/{name}")["type"]]
        made = {"hmac": self.ask(f"hmac/{name}", input=TEXT, key_version=version)["hmac"]}
        if kind.encrypts:
            body = {"plaintext": TEXT, "key_version": version, **more}
            made["ciphertext"] = self.ask(f"encrypt/{name}", **body)["ciphertext"]
        if kind.signs:
            body = {"input": TEXT, "key_version": version, **more}
            made["signature"] = self.ask(f"sign/{name}", **body)["signature"]
        return made

    def require(self, name: str, made: Mapping[str, str], **more: object) -> None:
        """Make sure that a key opens and verifies what was made elsewhere."""
        for what, text in made.items():
            if what == "ciphertext":
                assert self.ask(f"decrypt/{name}", ciphertext=text, **more)["plaintext"] == TEXT
            else:
                assert self.ask(f"verify/{name}", input=TEXT, **{what: text}, **more)["valid"]


@pytest.fixture(scope="module")
def sites(places: Callable[[str], Place]) -> Mapping[str, Site]:
    return {kind: Site(places(kind).client(), "moving") for kind in ("openbao", "coffre")}


def new_key(site: Site, name: str, kind: str, **more: object) -> None:
    size = {"key_size": 48} if kind == "hmac" else {}
    site.ask(f"keys/{name}", type=kind, **LET, **size, **more)


@pytest.mark.parametrize("way", WAYS, ids="-to-".join)
@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_goes_there_and_back(
    sites: Mapping[str, Site], name: str, kind: str, way: tuple[str, str]
) -> None:
    here, there = (sites[each] for each in way)
    new_key(here, name, kind)
    made = [here.works(name, 1)]
    here.ask(f"keys/{name}/rotate")
    made.append(here.works(name, 2))
    there.ask("restore", backup=here.read(f"backup/{name}")["backup"])
    there.reload()
    for each in made:
        there.require(name, each)
    shown, restored = here.read(f"keys/{name}"), dict(there.read(f"keys/{name}"))
    assert restored.pop("restore_info")["version"] == 2
    assert restored == shown
    there.ask(f"keys/{name}/rotate")
    made += [there.works(name, 2), there.works(name, 3)]
    here.ask("restore", backup=there.read(f"backup/{name}")["backup"], force=True)
    for each in made:
        here.require(name, each)


@pytest.mark.parametrize("way", WAYS, ids="-to-".join)
def test_settings_and_derived_keys_go_too(sites: Mapping[str, Site], name: str, way: tuple[str, str]) -> None:
    here, there = (sites[each] for each in way)
    for kind, more in (
        ("aes256-gcm96", {"convergent_encryption": True, "auto_rotate_period": "24h"}),
        ("chacha20-poly1305", {}),
        ("ed25519", {}),
    ):
        key = f"{name}-{kind}"
        new_key(here, key, kind, derived=True, **more)
        first = here.works(key, 1, context=CONTEXT)
        for _ in range(4):
            here.ask(f"keys/{key}/rotate")
        made = [here.works(key, version, context=CONTEXT) for version in (5, 0)]
        here.ask(f"keys/{key}/config", min_decryption_version=4, min_encryption_version=4)
        there.ask("restore", backup=here.read(f"backup/{key}")["backup"])
        for each in made:
            there.require(key, each, context=CONTEXT)
        there.ask(f"keys/{key}/config", min_decryption_version=1)
        there.require(key, first, context=CONTEXT)
        there.ask(f"keys/{key}/config", min_decryption_version=4)
        there.ask(f"keys/{key}/trim", min_available_version=3)
        here.ask("restore", backup=there.read(f"backup/{key}")["backup"], force=True)
        assert here.read(f"keys/{key}")["min_available_version"] == 3
        for each in made:
            here.require(key, each, context=CONTEXT)


@pytest.mark.parametrize("way", WAYS, ids="-to-".join)
def test_imported_keys_and_bare_public_halves_go_too(
    sites: Mapping[str, Site], name: str, way: tuple[str, str]
) -> None:
    here, there = (sites[each] for each in way)
    wrapping = here.read("wrapping_key")["public_key"]
    for kind, size in (("aes256-gcm96", 32), ("aes128-gcm96", 16), ("xchacha20-poly1305", 32)):
        key = f"{name}-{kind}"
        sealed = wrap(secret_of(f"bytes{size}"), wrapping)
        here.ask(f"keys/{key}/import", type=kind, ciphertext=sealed, derived=True, allow_rotation=True, **LET)
        made = here.works(key, 1, context=CONTEXT)
        there.ask("restore", backup=here.read(f"backup/{key}")["backup"])
        assert there.read(f"keys/{key}")["kdf"] == "hmac-sha256-counter"
        for site, others in ((there, made), (here, there.works(key, 1, context=CONTEXT))):
            if site is sites["coffre"] or kind != "aes128-gcm96":  # OpenBao opens none of its own ciphertexts
                site.require(key, others, context=CONTEXT)
    for kind, pair in (
        ("rsa-2048", "rsa2048"),
        ("ecdsa-p384", "p384"),
        ("ed25519", "ed25519"),
        ("mldsa-65", "mldsa65"),
    ):
        key = f"{name}-{kind}"
        here.ask(f"keys/{key}/import", type=kind, public_key=public_pem(pair), **LET)
        mac = here.ask(f"hmac/{key}", input=TEXT)["hmac"]
        there.ask("restore", backup=here.read(f"backup/{key}")["backup"])
        there.reload()
        there.require(key, {"hmac": mac})
        sealed = wrap(secret_of(pair), there.read("wrapping_key")["public_key"])
        there.ask(f"keys/{key}/import_version", ciphertext=sealed)
        here.require(key, {"signature": there.ask(f"sign/{key}", input=TEXT)["signature"]})


@pytest.mark.parametrize("way", WAYS, ids="-to-".join)
def test_certificates_go_with_their_key(sites: Mapping[str, Site], name: str, way: tuple[str, str]) -> None:
    here, there = (sites[each] for each in way)
    new_key(here, name, "ecdsa-p256")
    public = here.read(f"keys/{name}")["keys"]["1"]["public_key"]
    chain = certifier.chain("full", public)
    here.ask(f"keys/{name}/set-certificate", certificate_chain=chain)
    there.ask("restore", backup=here.read(f"backup/{name}")["backup"])
    shown = [site.read(f"keys/{name}")["keys"]["1"]["certificate_chain"] for site in (here, there)]
    assert shown[0] == shown[1] != ""


@pytest.mark.parametrize("way", WAYS, ids="-to-".join)
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_goes_wrapped_for_the_other_server(
    sites: Mapping[str, Site], name: str, kind: str, way: tuple[str, str]
) -> None:
    here, there = (sites[each] for each in way)
    new_key(here, name, kind)
    here.ask(f"keys/{name}/rotate")
    made = [here.works(name, version) for version in (1, 2)]
    way_key = f"way-{name}"
    here.ask(f"keys/{way_key}/import", type="rsa-4096", public_key=there.read("wrapping_key")["public_key"])
    wrapped = here.read(f"byok-export/{way_key}/{name}?hash=SHA384")["keys"]
    body = {"type": kind, "ciphertext": wrapped["1"], "hash_function": "SHA384", "exportable": True}
    there.ask(f"keys/{name}/import", **body)
    there.ask(f"keys/{name}/import_version", ciphertext=wrapped["2"], hash_function="SHA384")
    for each in made:
        without_mac = {what: text for what, text in each.items() if what != "hmac" or kind == "hmac"}
        there.require(name, without_mac)
    back = there.works(name, 2)
    here.require(name, {what: text for what, text in back.items() if what != "hmac" or kind == "hmac"})


@pytest.mark.parametrize("program", ["bao", "vaultctl"])
def test_a_client_imports_a_key_and_a_version(
    places: Callable[[str], Place], sites: Mapping[str, Site], name: str, program: str, tmp_path: Path
) -> None:
    """As people do it who never heard of key wrapping."""
    site, words = sites["coffre"], {"bao": [BAO], "vaultctl": [sys.executable, "-m", "vaultctl"]}[program]
    for kind, material in (
        ("ecdsa-p256", secret_of("p256")),
        ("aes256-gcm96", secret_of("bytes32")),
        ("rsa-2048", secret_of("rsa2048")),
    ):
        key = f"{name}-{kind}"
        file = tmp_path / "key"
        file.write_text(base64.b64encode(material).decode())
        for command, more in (("import", [f"type={kind}", "exportable=true"]), ("import-version", [])):
            done = subprocess.run(
                [*words, "transit", command, f"{site.mount}/keys/{key}", f"@{file}", *more],
                env=places("coffre").environment(tmp_path),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        shown = site.read(f"keys/{key}")
        assert (shown["type"], shown["latest_version"], shown["imported_key"]) == (kind, 2, True)
        part = "signing-key" if KEY_TYPES[kind].signs else "encryption-key"
        given = site.read(f"export/{part}/{key}?format={'der' if KEY_TYPES[kind].pair else 'raw'}")["keys"]
        assert given == dict.fromkeys(("1", "2"), base64.b64encode(material).decode())


def test_backups_are_of_one_form(sites: Mapping[str, Site], name: str) -> None:
    """Member by member, in one order: who compares backups of both servers sees the same key."""
    for kind in KINDS:
        key = f"{name}-{kind}"
        new_key(sites["openbao"], key, kind)
        theirs = sites["openbao"].read(f"backup/{key}")["backup"]
        sites["coffre"].ask("restore", backup=theirs)
        ours = sites["coffre"].read(f"backup/{key}")["backup"]
        first, second = (json.loads(base64.b64decode(text)) for text in (theirs, ours))
        for each in (first, second):
            for what in ("backup_info", "restore_info"):
                each["policy"][what] = None
        assert json.dumps(first) == json.dumps(second)


def test_vaultctl_takes_a_key_from_standard_input_and_from_no_argument(
    places: Callable[[str], Place], sites: Mapping[str, Site], name: str, tmp_path: Path
) -> None:
    site, given = sites["coffre"], base64.b64encode(secret_of("bytes32")).decode()

    def run(key: str, *more: str, path: str = f"moving/keys/{name}") -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "vaultctl", "transit", "import", path, key, *more],
            env=places("coffre").environment(tmp_path),
            input=f"{given}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert given not in done.stdout + done.stderr
        return done.returncode, done.stderr

    assert run(given) == (1, f"{SEEN}\n")
    for path in ("moving", "moving/keys", "keys/a", "moving/keys/a/b", "/keys/a"):
        assert run("-", path=path)[0] == 1
    assert run(f"@{tmp_path / 'nothing'}")[0] == 1
    assert run("-", "hash_function=md5")[0] == 1
    assert run("-", "type=rsa-2048")[0] == 2
    assert run("-", path="nowhere/keys/a")[0] == 2
    assert run("-", "hash_function=sha512", "exportable=true") == (0, "")
    assert site.read(f"export/encryption-key/{name}")["keys"] == {"1": given}


@pytest.mark.parametrize("way", WAYS, ids="-to-".join)
def test_hvac_carries_a_key_over(sites: Mapping[str, Site], name: str, way: tuple[str, str]) -> None:
    here, there = (sites[each].client.secrets.transit for each in way)
    here.create_key(
        name, key_type="ecdsa-p256", exportable=True, allow_plaintext_backup=True, mount_point="moving"
    )
    signature = here.sign_data(name, hash_input=TEXT, mount_point="moving")["data"]["signature"]
    backup = here.backup_key(name, mount_point="moving")["data"]["backup"]
    there.restore_key(backup, mount_point="moving")
    there.restore_key(backup, name=f"{name}-2", mount_point="moving")
    with pytest.raises((hvac.exceptions.InvalidRequest, hvac.exceptions.InternalServerError)):
        there.restore_key(backup, name=name, mount_point="moving")
    there.restore_key(backup, name=name, force=True, mount_point="moving")
    for each in (name, f"{name}-2"):
        told = there.verify_signed_data(each, hash_input=TEXT, signature=signature, mount_point="moving")
        assert told["data"]["valid"]

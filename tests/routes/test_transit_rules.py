# SPDX-License-Identifier: EUPL-1.2
"""What went wrong in other transit engines, and does not here: no caller's nonce, and no settings that end the process."""

import base64
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest

from tests.routes.driver import Application
from tests.routes.test_transit import ABOUT, CONTEXT, TEXT, Transit
from vault.engines.transit.keys.key_types import EXTERNAL, KEY_TYPES

NONCE: Final = base64.b64encode(bytes(range(12))).decode()
LONG_NONCE: Final = base64.b64encode(bytes(range(24))).decode()
SPELLINGS: Final = ("nonce", "Nonce", "NONCE", "iv", "nonces", "nonce_", "initialization_vector", "_nonce")
CIPHERS: Final = [name for name, kind in KEY_TYPES.items() if kind.aead is not None and kind.derives]
SLOW: Final = ("rsa-3072", "rsa-4096")
SIZES: Final = (0, 3, 32, 64, 512, 513, -1)


@pytest.fixture(scope="module")
def transit() -> Iterator[Transit]:
    with Application() as application:
        yield Transit(application)


def raw(text: str) -> bytes:
    return base64.b64decode(text.split(":")[2])


@pytest.mark.parametrize("name", CIPHERS)
def test_eg_01_nobody_chooses_a_nonce_by_any_spelling(transit: Transit, name: str) -> None:
    """CVE-2023-4680: whoever chooses one twice gives away what authenticates."""
    transit.data(f"keys/{name}", {"type": name})
    size = KEY_TYPES[name].nonce
    given = base64.b64decode(NONCE if size == 12 else LONG_NONCE)
    chosen = {spelling: base64.b64encode(given).decode() for spelling in SPELLINGS}
    item = {"plaintext": TEXT, **chosen}
    texts = [transit.encrypt(name, **chosen), transit.encrypt(name, **chosen)]
    texts.append(transit.data(f"datakey/wrapped/{name}", chosen)["ciphertext"])
    texts.append(transit.data(f"rewrap/{name}", {"ciphertext": texts[0], **chosen})["ciphertext"])
    for path, batch in (
        (f"encrypt/{name}", [item, item]),
        (f"rewrap/{name}", [{"ciphertext": texts[0], **chosen}]),
    ):
        found = transit.data(path, {"batch_input": batch, **chosen})["batch_results"]
        texts += [one["ciphertext"] for one in found]
    query = "&".join(f"{spelling}={NONCE}" for spelling in SPELLINGS)
    texts.append(transit.data(f"encrypt/{name}?{query}", {"plaintext": TEXT})["ciphertext"])
    nonces = [raw(text)[:size] for text in texts]
    assert given not in nonces
    assert len(set(nonces)) == len(nonces) == 8


@pytest.mark.parametrize("name", CIPHERS)
def test_eg_01_nor_the_nonce_of_a_convergent_key(transit: Transit, name: str) -> None:
    transit.data(f"keys/c-{name}", {"type": name, "derived": True, "convergent_encryption": True})
    chosen = dict.fromkeys(SPELLINGS, NONCE)
    plain = transit.encrypt(f"c-{name}", context=CONTEXT)
    assert transit.encrypt(f"c-{name}", context=CONTEXT, **chosen) == plain
    batch = {"batch_input": [{"plaintext": TEXT, "context": CONTEXT, **chosen}]}
    assert transit.data(f"encrypt/c-{name}", batch)["batch_results"][0]["ciphertext"] == plain


def test_eg_02_every_kind_with_every_setting_is_made_or_refused_and_used_or_refused(transit: Transit) -> None:
    """CVE-2026-55776: one such combination ended the process."""
    made = 0
    settings = product(KEY_TYPES, (False, True), (False, True), (False, True), SIZES)
    for at, (kind, derived, convergent, exportable, size) in enumerate(settings):
        if kind in SLOW and (exportable or size):
            continue  # of these one is as good as another, and takes seconds
        body = {
            "type": kind,
            "derived": derived,
            "convergent_encryption": convergent,
            "exportable": exportable,
            "key_size": size,
        }
        answer = transit.ask("POST", f"keys/k{at}", body)
        assert answer.status in {200, 400}, (body, answer.body)
        if answer.status == 200:
            made += 1
            for path, sent in _uses(f"k{at}", derived=derived):
                used = transit.ask("POST" if sent is not None else "GET", path, sent)
                assert used.status in {200, 400, 404}, (body, path, used.body)
    assert made > 40
    assert EXTERNAL in KEY_TYPES
    assert transit.ask("GET", "keys/k0").status == 200


def _uses(name: str, *, derived: bool) -> Iterator[tuple[str, Any]]:
    """What may be asked of a key, with a context and without."""
    for more in ({}, {"context": CONTEXT}) if derived else ({},):
        yield f"encrypt/{name}", {"plaintext": TEXT, "associated_data": ABOUT, **more}
        yield f"sign/{name}", {"input": TEXT, **more}
        yield f"datakey/plaintext/{name}", more
    yield f"hmac/{name}", {"input": TEXT}
    yield f"keys/{name}/csr", {}
    yield f"keys/{name}?context={CONTEXT}", None
    for part in ("encryption-key", "signing-key", "hmac-key", "public-key", "certificate-chain"):
        yield f"export/{part}/{name}", None


@pytest.mark.parametrize("kind", ["aes256-gcm96", "ed25519"])
def test_eg_03_every_beginning_of_a_backup_is_refused_and_leaves_nothing(transit: Transit, kind: str) -> None:
    """Such a thing ends the request's thread in OpenBao 2.7.2."""
    settings = {"type": kind, "exportable": True, "allow_plaintext_backup": True}
    transit.data(f"keys/backed-{kind}", settings)
    text = transit.ask("GET", f"backup/backed-{kind}").json()["data"]["backup"]
    whole = base64.b64decode(text)
    before = transit.stored("key/"), transit.stored("version/")
    for size in range(len(whole.rstrip())):
        backup = base64.b64encode(whole[:size]).decode()
        transit.refused("restore/again", {"backup": backup})
    for backup in ("", "e30=", "bnVsbA==", "W10=", text[:-1], text[1:], "x"):
        transit.refused("restore/again", {"backup": backup})
    assert (transit.stored("key/"), transit.stored("version/")) == before
    assert transit.ask("POST", "restore/again", {"backup": text}).status == 204
    assert transit.ask("GET", "keys/again").status == 200
    transit.data("keys/again/config", {"deletion_allowed": True})
    assert transit.ask("DELETE", "keys/again").status == 204

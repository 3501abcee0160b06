# SPDX-License-Identifier: EUPL-1.2
"""Versions of a key: their texts, and which of them wraps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.agent.session.quirks import quirks_of
from hsm.errors import KeyAmbiguous, KeyMissing
from hsm.versions import KeyVersion, from_printable, name, newest, next_version, printable


def _version(text: str, *, retired: bool = False) -> KeyVersion:
    return KeyVersion(version=text, kind="aes", bits=256, retired=retired, protected=True)


@given(st.binary(max_size=40))
def test_any_id_has_a_text_that_reads_back(key_id: bytes) -> None:
    assert from_printable(printable(key_id)) == key_id


@pytest.mark.parametrize(
    ("key_id", "text"),
    [(b"v0001", "v0001"), (b"\x01", "0x01"), (b"0x01", "0x30783031"), (b"", "0x"), (b"a b", "0x612062")],
)
def test_texts_of_ids(key_id: bytes, text: str) -> None:
    assert printable(key_id) == text


@pytest.mark.parametrize("text", ["", "0x1", "0xzz", "0x7630303031", "0X01 ", "é", "a b", "0xAB"])
def test_a_text_that_is_no_id_s_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_printable(text)


def test_the_newest_that_is_not_retired_wraps() -> None:
    found = [_version("v0001"), _version("v0002"), _version("v0003", retired=True)]
    assert newest(found, "kek").version == "v0002"
    assert next_version(found) == b"v0004"


def test_numbered_versions_go_before_other_ids() -> None:
    assert newest([_version("0x01"), _version("v0001")], "kek").version == "v0001"
    assert newest([_version("0x01")], "kek").version == "0x01"
    assert next_version([_version("0x01")]) == b"v0001"


def test_ids_without_an_order_are_refused() -> None:
    with pytest.raises(KeyAmbiguous, match="set key_id"):
        newest([_version("0x01"), _version("0x02")], "kek")


@pytest.mark.parametrize("found", [[], [_version("v0001", retired=True)]])
def test_without_a_key_that_encrypts_nothing_wraps(found: list[KeyVersion]) -> None:
    with pytest.raises(KeyMissing):
        newest(found, "kek")


def test_names_in_messages() -> None:
    assert name("kek", b"v0001") == "key kek id v0001"
    assert name("kek", None) == "key kek"


@pytest.mark.parametrize(
    ("manufacturer", "model", "software", "no_gcm"),
    [
        ("SoftHSM project", "SoftHSM v2", True, False),
        ("Mozilla Foundation", "NSS 3", True, True),
        ("Mozilla Foundation", "libsoftokn3", True, True),
        ("SoftHSM project", "", True, False),
        ("IBM", "Soft", True, False),
        ("IBM", "SW   TPM", True, False),
        ("Nitrokey", "NetHSM", False, False),
        ("Vendor", "SoftwareFree 9000", False, False),
    ],
)
def test_programs_are_known(manufacturer: str, model: str, *, software: bool, no_gcm: bool) -> None:
    found = quirks_of(manufacturer, model)
    assert (found.software, found.no_gcm) == (software, no_gcm)

# SPDX-License-Identifier: EUPL-1.2
"""Whole keys as backups: all that is known of one comes back, and nothing that is senseless comes in."""

import base64
import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engines.transit.test_signatures import made
from vault.engines.transit.keys.key_ring import OpenVersion
from vault.engines.transit.keys.key_types import KEY_TYPES, Material
from vault.engines.transit.keys.model import KeyCopy, KeyVersion, TransitKey
from vault.engines.transit.moving.backup import LONGEST, key_data, require_name, restored_key
from vault.engines.transit.moving.backup_form import write_backup
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed
from vault.values.times import Nanos, Seconds

NOW: Final = Nanos(1_796_016_086_357_130_515)
KEY: Final = TransitKey(
    id="old",
    type="aes256-gcm96",
    latest=5,
    first=2,
    min_decryption=3,
    min_encryption=4,
    min_available=2,
    derived=True,
    convergent=True,
    exportable=True,
    plaintext_backup=True,
    deletion_allowed=True,
    auto_rotate=Seconds(7200),
    backed_up=KeyCopy(NOW, 5),
)


def versions(key: TransitKey) -> dict[int, OpenVersion]:
    found = {}
    for number in range(key.first, key.latest + 1):
        _, version = made(key.type)
        stored = KeyVersion(created=Nanos(NOW + number), held=b"", mac=b"", public=version.stored.public)
        secret = Material(version.secret, version.mac, stored.public)
        found[number] = OpenVersion(number, KEY_TYPES[key.type], stored, secret)
    return found


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def form(key: TransitKey = KEY) -> Any:
    return json.loads(write_backup(key_data("k", key, versions(key))))


def restored(data: Any) -> Any:
    return restored_key(text_of(json.dumps(data).encode()), Entropy(), NOW)


def test_all_that_is_known_of_a_key_comes_back() -> None:
    before = versions(KEY)
    found = restored_key(text_of(write_backup(key_data("k", KEY, before))), Entropy(), Nanos(NOW + 9))
    assert found.name == "k"
    known = msgspec.structs.replace(KEY, id=found.settings.id, restored=KeyCopy(Nanos(NOW + 9), 5))
    assert found.settings == known
    assert found.settings.id != KEY.id
    assert {number: one.created for number, one in found.versions.items()} == {
        number: NOW + number for number in range(2, 6)
    }
    for number, version in before.items():
        assert found.versions[number].material.secret == version.secret
        assert found.versions[number].material.mac == version.mac


def test_versions_that_are_put_away_stand_in_the_archive_alone() -> None:
    data = form()
    assert sorted(data["policy"]["keys"]) == ["3", "4", "5"]
    assert len(data["archived_keys"]["keys"]) == 4
    whole = form(msgspec.structs.replace(KEY, first=1, min_available=0))
    assert len(whole["archived_keys"]["keys"]) == 6
    assert whole["archived_keys"]["keys"][0]["key"] is None


def test_a_version_is_taken_from_where_it_is() -> None:
    data = form()
    del data["policy"]["keys"]["5"]
    assert restored(data).versions[5].created == NOW + 5
    data["archived_keys"]["keys"].pop()
    with pytest.raises(Malformed, match="do not fit"):
        restored(data)
    data = form(msgspec.structs.replace(KEY, min_decryption=2, min_encryption=2))
    nothings: tuple[Any, ...] = (None, {"keys": None}, {"keys": []})
    for nothing in nothings:
        data["archived_keys"] = nothing
        assert len(restored(data).versions) == 4
    del data["archived_keys"]
    assert len(restored(data).versions) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"latest_version": 0},
        {"latest_version": 6},
        {"latest_version": 1 << 62},
        {"min_decryption_version": 0},
        {"min_decryption_version": 1},
        {"min_decryption_version": 6},
        {"min_encryption_version": -1},
        {"min_encryption_version": 2},
        {"min_encryption_version": 6},
        {"min_available_version": -1},
        {"min_available_version": 4},
        {"auto_rotate_period": -1},
        {"auto_rotate_period": 3_599_000_000_000},
        {"auto_rotate_period": 1 << 70},
        {"kdf": 2},
        {"kdf": 0},
        {"derived": False},
        {"convergent_version": 2},
        {"type": 2, "convergent_encryption": False, "kdf": 0},
        {"type": 10},
        {"Imported": True},
        {"keys": {}, "archived": True},
    ],
)
def test_what_no_key_can_be_is_refused(wrong: dict[str, Any]) -> None:
    data = form()
    if wrong.pop("archived", False):
        data["archived_keys"] = None
    data["policy"].update(wrong)
    with pytest.raises(Malformed):
        restored(data)


def test_an_entry_of_an_older_convergent_way_is_refused() -> None:
    data = form()
    data["policy"]["keys"]["5"]["convergent_version"] = 2
    with pytest.raises(Malformed, match="convergent"):
        restored(data)


@pytest.mark.parametrize(
    ("time", "created"),
    [
        ("2026-11-30T05:21:26.355106325Z", 1_796_016_086_355_106_325),
        ("2026-11-30T06:21:26.5+01:00", 1_796_016_086_500_000_000),
        ("2026-11-30T05:21:26Z", 1_796_016_086_000_000_000),
        ("0001-01-01T00:00:00Z", 7_000_000_000),
        ("1969-12-31T23:59:59Z", 7_000_000_000),
        ("2261-12-31T23:59:59.999999999Z", 9_214_646_399_999_999_999),
        ("2262-01-01T00:00:00Z", 7_000_000_000),
        ("9999-12-31T23:59:59-23:59", 7_000_000_000),
        ("2026-13-30T05:21:26Z", 7_000_000_000),
        ("x", 7_000_000_000),
        ("2" * 100_000, 7_000_000_000),
    ],
)
def test_when_a_version_was_made_comes_back(time: str, created: int) -> None:
    data = form()
    data["policy"]["keys"]["5"].update(time=time, creation_time=7)
    assert restored(data).versions[5].created == created


@pytest.mark.parametrize("name", ["k", "0", "a.b-c_d", "A" * 300])
def test_a_name_that_paths_have_is_taken(name: str) -> None:
    require_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", ".a", "a.", "a/b", "a b", "\N{LATIN SMALL LETTER E WITH ACUTE}", "a\n"]
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(Malformed, match="name"):
        require_name(name)


def test_a_long_text_is_not_looked_at() -> None:
    with pytest.raises(Malformed, match="too long"):
        restored_key("A" * (LONGEST + 1), Entropy(), NOW)
    with pytest.raises(Malformed, match="illegal base64 data at input byte 1"):
        restored_key("A%", Entropy(), NOW)


def test_no_beginning_of_a_backup_is_one() -> None:
    """EG-03: each of them ends the request in OpenBao 2.7.2, or makes a key that does not work."""
    whole = write_backup(key_data("k", KEY, versions(KEY))).rstrip()
    for size in range(len(whole)):
        with pytest.raises(Malformed):
            restored_key(text_of(whole[:size]), Entropy(), NOW)
    assert restored_key(text_of(whole), Entropy(), NOW).name == "k"


_WHOLE: Final = write_backup(key_data("k", KEY, versions(KEY)))


@given(st.lists(st.tuples(st.integers(0, len(_WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_an_altered_backup_is_a_key_or_is_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(_WHOLE)
    for place, byte in changes:
        data[place] = byte
    try:
        found = restored_key(text_of(bytes(data)), Entropy(), NOW)
    except Malformed:
        return
    numbers = range(found.settings.first, found.settings.latest + 1)
    assert sorted(found.versions) == [*numbers]
    assert found.settings.min_decryption in numbers


_JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(json.loads(_WHOLE)["policy"])), _JSON)
def test_a_member_may_be_anything(member: str, value: Any) -> None:
    data = json.loads(_WHOLE)
    data["policy"][member] = value
    try:
        found = restored(data)
    except Malformed:
        return
    assert found.settings.latest >= found.settings.min_decryption >= 1


@given(
    st.sampled_from(sorted(json.loads(_WHOLE)["policy"]["keys"]["5"])),
    _JSON,
    st.sampled_from([one for one in range(15) if one not in {3, 4, 9}]),
)
def test_a_member_of_a_version_may_be_anything(member: str, value: Any, kind: int) -> None:
    data = json.loads(_WHOLE)
    data["policy"].update(type=kind, derived=False, convergent_encryption=False)
    data["policy"]["keys"]["5"][member] = value
    try:
        found = restored(data)
    except Malformed:
        return
    assert len(found.versions) == 4

# SPDX-License-Identifier: EUPL-1.2
"""The JSON of backups: numbers of any length come back as they were, and what is no backup is refused."""

import json

import msgspec
import pytest

from vault.engines.transit.moving.backup_form import NUMBERS, TYPES, KeyData, read_backup, write_backup
from vault.framework.errors import Malformed

ENTRY = {"key": "AAAA", "hmac_key": "AAAA"}
POLICY = {"name": "k", "keys": {"1": ENTRY}, "min_decryption_version": 1, "latest_version": 1, "type": 0}


def encoded(**more: object) -> bytes:
    return json.dumps({"policy": {**POLICY, **more}}).encode()


def test_a_number_of_any_length_keeps_every_digit() -> None:
    for number in (0, (1 << 53) + 1, (1 << 64) + 1, (1 << 521) - 1, (1 << 4096) - 1):
        found = read_backup(encoded(keys={"1": {**ENTRY, "ec_d": number}}))
        assert found.policy.keys["1"].ec_d == number
        again = json.loads(write_backup(found))
        assert again["policy"]["keys"]["1"]["ec_d"] == number


def test_what_other_releases_know_is_passed_over() -> None:
    found = read_backup(encoded(something={"deep": [1]}, keys={"1": {**ENTRY, "other": None}}))
    assert found.policy.name == "k"
    assert write_backup(found) == write_backup(read_backup(encoded()))


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"hello",
        b"null",
        b"{}",
        b"[]",
        b'{"policy":null}',
        b'{"policy":{}}',
        encoded() + b"x",
        encoded(name=None),
        encoded(name=1),
        encoded(keys=None),
        encoded(keys=[]),
        encoded(keys={"1": None}),
        encoded(keys={"1": {"key": "%"}}),
        encoded(keys={"1": {"key": [1]}}),
        encoded(keys={"1": {"ec_d": 1.5}}),
        encoded(keys={"1": {"ec_d": "1"}}),
        encoded(keys={"1": {"rsa_key": {"N": 1}}}),
        encoded(type="x"),
        encoded(type=99),
        encoded(type=-1),
        encoded(latest_version=None),
        b'{"policy":' * 5000,
        b"[" * 100_000,
        b'\xff\xfe{"policy":{}}',
        json.dumps({"policy": POLICY}).encode().replace(b'"AAAA"', b'"AAAA', 1),
        b'{"policy":{"keys":{"1":{"ec_d":' + b"9" * 5000 + b"}}}}",
    ],
)
def test_what_is_no_backup_is_refused(wrong: bytes) -> None:
    with pytest.raises(Malformed, match="backup"):
        read_backup(wrong)


@pytest.mark.parametrize("part", [b"{}", b"[]", b"1"])
def test_many_small_parts_are_counted_before_they_are_read(part: bytes) -> None:
    """Else 12 MB of them take 760 MB, and hold everybody up for a second."""
    many = b",".join([part] * 600_000)
    data = encoded()[:-1] + b',"archived_keys":{"keys":[{"rsa_key":{"Precomputed":{"CRTValues":[' + many
    with pytest.raises(Malformed, match="too many parts"):
        read_backup(data + b"]}}}]}}")


def test_every_kind_has_one_number() -> None:
    assert len(NUMBERS) == len(TYPES) == 15
    assert {TYPES[number] for number in NUMBERS.values()} == {*NUMBERS}


def test_no_part_shows_itself() -> None:
    found = read_backup(encoded(keys={"1": {**ENTRY, "rsa_public_key": {"N": 4711, "E": 3}}}))
    for part in (found, found.policy, found.policy.keys["1"], found.policy.keys["1"].rsa_public_key):
        assert "4711" not in repr(part)
        assert "AAAA" not in repr(part)
    assert isinstance(found, KeyData)
    assert isinstance(found, msgspec.Struct)

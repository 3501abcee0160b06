# SPDX-License-Identifier: EUPL-1.2
import os
import pickle

import msgspec
import pytest

from tests.unit.barrier.stream import flips, stream, vectors
from vault.barrier import envelope
from vault.barrier.failure import BarrierFailure, BarrierSealed, UnknownTerm
from vault.barrier.key import Key
from vault.barrier.keyring import (
    DEFAULT_MAX_OPERATIONS,
    KEYRING_PATH,
    InvalidRotation,
    Keyring,
    RotationConfig,
)
from vault.values.times import Millis, Seconds

ROOT = Key(bytes(32))
DAY = Seconds(24 * 60 * 60)
SCOPE = envelope.entry_scope("root")


def _keyring(now: Millis = Millis(1000)) -> Keyring:
    return Keyring.create(now, os.urandom)


def test_a_keyring_is_stored_as_in_the_vector() -> None:
    v = vectors("barrier_keyring.json")
    root, stored = Key(bytes.fromhex(v["root_key"])), bytes.fromhex(v["stored"])
    keyring = Keyring.unwrap(root, stored)
    assert keyring.active.number == v["active"]
    assert [
        {
            "term": t.number,
            "key": t.key.reveal().hex(),
            "install_time": t.install_time,
            "encryptions": t.encryptions,
        }
        for t in keyring.terms.values()
    ] == v["terms"]
    assert keyring.rotation == RotationConfig(**v["rotation"])
    assert keyring.wrap(root, lambda _: stored[1:13]) == stored


def test_every_changed_bit_of_a_stored_keyring_is_refused() -> None:
    for damaged in flips(_keyring().wrap(ROOT, os.urandom)):
        with pytest.raises(BarrierFailure):
            Keyring.unwrap(ROOT, damaged)


def test_another_root_key_does_not_open_the_keyring() -> None:
    with pytest.raises(BarrierFailure):
        Keyring.unwrap(Key(bytes(31) + b"\1"), _keyring().wrap(ROOT, os.urandom))


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"v":2,"terms":[],"rotation":{}}',
        b'{"v":1,"terms":[],"rotation":{}}',
        b'{"v":1,"terms":[{"term":1,"key":"AAAA","installed":1,"encryptions":0}],"rotation":{}}',
    ],
)
def test_an_authentic_keyring_of_an_unknown_format_is_refused(plain: bytes) -> None:
    data = envelope.wrap(ROOT, ("coffre.keyring", KEYRING_PATH), plain, os.urandom)
    with pytest.raises(BarrierFailure, match="unknown format"):
        Keyring.unwrap(ROOT, data)


def test_rotating_adds_a_term_and_old_entries_still_open() -> None:
    keyring = _keyring()
    old = keyring.encrypt(SCOPE, "a", b"old", os.urandom)
    rotated = keyring.rotate(Millis(2000), os.urandom)
    new = rotated.encrypt(SCOPE, "a", b"new", os.urandom)
    assert (rotated.active.number, rotated.active.install_time) == (2, 2000)
    assert envelope.term_of(new) == 2
    assert rotated.decrypt(SCOPE, "a", old) == b"old"
    assert rotated.decrypt(SCOPE, "a", new) == b"new"
    with pytest.raises(UnknownTerm):
        keyring.decrypt(SCOPE, "a", new)


def test_each_encryption_is_counted_for_its_term() -> None:
    keyring = _keyring()
    for _ in range(3):
        keyring.encrypt(SCOPE, "a", b"x", os.urandom)
    rotated = keyring.rotate(Millis(2000), os.urandom)
    assert rotated.terms[1].encryptions == 3
    assert rotated.active.encryptions == 0


def test_a_dropped_keyring_refuses_everything() -> None:
    keyring = _keyring()
    data = keyring.encrypt(SCOPE, "a", b"x", os.urandom)
    keyring.drop()
    with pytest.raises(BarrierSealed):
        keyring.decrypt(SCOPE, "a", data)
    with pytest.raises(BarrierSealed):
        keyring.encrypt(SCOPE, "a", b"x", os.urandom)
    with pytest.raises(BarrierSealed):
        _ = keyring.active
    assert not keyring.terms


@pytest.mark.parametrize(
    ("rotation", "count", "age", "due"),
    [
        (RotationConfig(), DEFAULT_MAX_OPERATIONS - 1, 10**9, False),
        (RotationConfig(), DEFAULT_MAX_OPERATIONS, 0, True),
        (RotationConfig(enabled=False), DEFAULT_MAX_OPERATIONS, 0, False),
        (RotationConfig(interval=DAY), 0, DAY - 1, False),
        (RotationConfig(interval=DAY), 0, DAY, True),
        (RotationConfig(enabled=False, interval=DAY), 0, DAY, False),
        (RotationConfig(max_operations=1_000_000), 1_000_000, 0, True),
    ],
)
def test_a_rotation_is_due_by_count_or_age(rotation: RotationConfig, count: int, age: int, due: bool) -> None:
    keyring = _keyring(now=Millis(5000)).configure(rotation)
    keyring.active.saved = count - 1
    keyring.active.unsaved = 1
    assert keyring.due(Millis(5000 + age * 1000)) is due


@pytest.mark.parametrize(
    ("rotation", "text"),
    [
        (RotationConfig(max_operations=999_999), "max_operations must be in the range [1000000,3865470566]"),
        (
            RotationConfig(max_operations=3865470567),
            "max_operations must be in the range [1000000,3865470566]",
        ),
        (RotationConfig(interval=Seconds(DAY - 1)), "interval must be greater or equal to 24h0m0s"),
        (RotationConfig(interval=Seconds(-1)), "interval must be greater or equal to 24h0m0s"),
        (
            RotationConfig(interval=Seconds(3600), max_operations=1),
            "interval must be greater or equal to 24h0m0s",
        ),
    ],
)
def test_bounds_of_rotation_are_refused_in_openbaos_words(rotation: RotationConfig, text: str) -> None:
    with pytest.raises(InvalidRotation) as caught:
        _keyring().configure(rotation)
    assert str(caught.value) == text


def test_following_storage_keeps_what_was_counted_here() -> None:
    here = _keyring()
    there = Keyring.unwrap(ROOT, here.wrap(ROOT, os.urandom)).rotate(Millis(9), os.urandom)
    there.terms[1].saved = 5
    here.encrypt(SCOPE, "a", b"x", os.urandom)
    here.adopt(there.configure(RotationConfig(interval=DAY)))
    assert here.terms[1].encryptions == 6
    assert here.active.number == 2
    assert here.rotation.interval == DAY


def test_a_key_that_storage_has_no_more_encrypts_nothing() -> None:
    """A backup was restored: what is written under such a key, nobody could read."""
    here = _keyring()
    older = Keyring.unwrap(ROOT, here.wrap(ROOT, os.urandom))
    here.adopt(here.rotate(Millis(9), os.urandom))
    here.terms[1].saved = 5
    here.adopt(older)
    assert here.active.number == 1
    assert here.terms[1].encryptions == 5
    here.adopt(here.rotate(Millis(9), os.urandom))
    here.encrypt(SCOPE, "a", b"x", os.urandom)
    other = older.rotate(Millis(9), os.urandom)
    here.adopt(other)
    assert here.terms[2].encryptions == 0
    assert other.decrypt(SCOPE, "a", here.encrypt(SCOPE, "a", b"x", os.urandom)) == b"x"


def test_a_key_does_not_show_itself() -> None:
    secret = bytes(range(32))
    key = Key(secret)
    keyring = Keyring.create(Millis(0), lambda _: secret)
    for text in (repr(key), str(key), f"{key}", repr(keyring), repr(keyring.active)):
        assert secret.hex() not in text
        assert repr(secret) not in text
    assert repr(key) == "Key(redacted)"
    assert repr(keyring.active) == "Term(1)"


def test_sl_23_a_key_is_compared_only_in_constant_time_and_never_serialised() -> None:
    key = Key(bytes(32))
    assert key.same(Key(bytes(32)))
    assert not key.same(Key(bytes(31) + b"\1"))
    with pytest.raises(TypeError):
        _ = key == Key(bytes(32))
    with pytest.raises(TypeError):
        hash(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        msgspec.json.encode(key)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="a key has 32 bytes"):
        Key(bytes(length))


def test_keys_come_from_the_entropy_that_was_given() -> None:
    assert Keyring.create(Millis(0), stream("x")).active.key.same(Key(stream("x")(32)))


def test_sl_85_the_nonce_is_drawn_here_each_time_and_nobody_can_give_one() -> None:
    ring = Keyring.create(Millis(0), os.urandom)
    scope = envelope.entry_scope("root")
    sealed = {ring.encrypt(scope, "a", b"the same text", os.urandom) for _ in range(500)}
    assert len(sealed) == len({data[: -len(b"the same text") - 16] for data in sealed}) == 500

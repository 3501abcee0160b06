# SPDX-License-Identifier: EUPL-1.2
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.barrier.stream import flips, stream_of, vectors
from vault.barrier import envelope
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Key

KEY = Key(bytes(range(32)))
SCOPE = envelope.entry_scope("root")


def _sealed(path: str = "a/b", plaintext: bytes = b"value", scope: bytes = SCOPE, term: int = 1) -> bytes:
    return envelope.seal(
        KEY, head=envelope.header(term), scope=scope, path=path, plaintext=plaintext, nonce=os.urandom(12)
    )


def test_entries_are_laid_out_as_in_the_vectors() -> None:
    for v in vectors("barrier.json")["entries"]:
        key, scope = Key(bytes.fromhex(v["key"])), envelope.entry_scope(v["namespace"])
        data = bytes.fromhex(v["envelope"])
        nonce, plaintext = bytes.fromhex(v["nonce"]), bytes.fromhex(v["plaintext"])
        assert (
            envelope.seal(
                key,
                head=envelope.header(v["term"]),
                scope=scope,
                path=v["path"],
                plaintext=plaintext,
                nonce=nonce,
            )
            == data
        )
        assert envelope.term_of(data) == v["term"]
        assert envelope.open_entry(key, scope, v["path"], data) == plaintext


def test_records_are_laid_out_as_in_the_vectors() -> None:
    for v in vectors("barrier.json")["records"]:
        key, place, data = Key(bytes.fromhex(v["key"])), tuple(v["place"]), bytes.fromhex(v["record"])
        nonce, plaintext = bytes.fromhex(v["nonce"]), bytes.fromhex(v["plaintext"])
        assert envelope.wrap(key, place, plaintext, stream_of(nonce)) == data
        assert envelope.unwrap(key, place, data) == plaintext


def test_every_changed_bit_of_an_entry_is_refused() -> None:
    for damaged in flips(_sealed()):
        with pytest.raises(BarrierFailure):
            envelope.term_of(damaged)
            envelope.open_entry(KEY, SCOPE, "a/b", damaged)


def test_every_changed_bit_of_a_record_is_refused() -> None:
    for damaged in flips(envelope.wrap(KEY, ("purpose", "path"), b"record", os.urandom)):
        with pytest.raises(BarrierFailure):
            envelope.unwrap(KEY, ("purpose", "path"), damaged)


def test_every_cut_of_an_entry_or_a_record_is_refused() -> None:
    entry, record = _sealed(), envelope.wrap(KEY, ("p",), b"record", os.urandom)
    for length in range(len(entry)):
        with pytest.raises(BarrierFailure):
            envelope.term_of(entry[:length])
            envelope.open_entry(KEY, SCOPE, "a/b", entry[:length])
    for length in range(len(record)):
        with pytest.raises(BarrierFailure):
            envelope.unwrap(KEY, ("p",), record[:length])


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        (SCOPE, "a/c"),
        (SCOPE, "a/b/"),
        (envelope.entry_scope("roo"), "ta/b"),
        (envelope.entry_scope(""), "a/b"),
    ],
)
def test_an_entry_does_not_open_anywhere_else(scope: bytes, path: str) -> None:
    with pytest.raises(BarrierFailure):
        envelope.open_entry(KEY, scope, path, _sealed())


def test_an_entry_does_not_open_under_another_key() -> None:
    with pytest.raises(BarrierFailure):
        envelope.open_entry(Key(bytes(32)), SCOPE, "a/b", _sealed())


def test_a_record_is_no_entry_and_an_entry_no_record() -> None:
    entry = _sealed()
    with pytest.raises(BarrierFailure):
        envelope.unwrap(KEY, (envelope.ENTRY_DOMAIN, "root", "a/b"), entry)


@given(st.lists(st.text(max_size=6), max_size=4), st.lists(st.text(max_size=6), max_size=4))
def test_different_places_never_share_their_encoding(one: list[str], other: list[str]) -> None:
    assert (envelope.bind(*one) == envelope.bind(*other)) == (one == other)


@given(st.text(max_size=30), st.text(max_size=30), st.binary(max_size=200), st.integers(1, 0xFFFFFFFF))
def test_what_was_sealed_opens(namespace: str, path: str, plaintext: bytes, term: int) -> None:
    scope = envelope.entry_scope(namespace)
    data = _sealed(path, plaintext, scope, term)
    assert envelope.term_of(data) == term
    assert envelope.open_entry(KEY, scope, path, data) == plaintext


def test_no_failure_shows_the_data() -> None:
    data = _sealed(plaintext=b"hunter2")
    with pytest.raises(BarrierFailure) as caught:
        envelope.open_entry(KEY, SCOPE, "elsewhere", data)
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__

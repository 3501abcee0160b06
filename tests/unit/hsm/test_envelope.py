# SPDX-License-Identifier: EUPL-1.2
"""Records of key slots: bound to their place, one spelling, and no bit of them can change unnoticed."""

import asyncio
import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hsm import envelope
from hsm.envelope import RecordAddress
from hsm.errors import HsmError, IntegrityError, KeyMissing, SlotUnavailable
from tests.unit.barrier.stream import flips, stream
from tests.unit.seal.soft import SoftSlot

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "seal_envelope.json").read_text())["records"]
PLACE = RecordAddress(
    slot="a", purpose="root", cluster="cluster", namespace="root", path="core/seal/slots/a", root_version=3
)


def sealed(slot: SoftSlot, place: RecordAddress = PLACE, payload: bytes = b"payload") -> bytes:
    return asyncio.run(envelope.seal(slot, place, payload, stream("envelope")))


def opened(slot: SoftSlot, record: bytes, place: RecordAddress = PLACE) -> bytes:
    return asyncio.run(envelope.unseal(slot, place, record))


def respell(text: bytes) -> bytes:
    """Give another text the digest that it needs."""
    return hashlib.sha256(text).digest() + text


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["place"]["purpose"])
def test_records_are_made_as_they_were_when_the_format_was_fixed(vector: dict[str, Any]) -> None:
    slot = SoftSlot("a", random=stream("slot"))
    place, payload = RecordAddress(**vector["place"]), bytes.fromhex(vector["payload"])
    record = asyncio.run(envelope.seal(slot, place, payload, stream("record")))
    assert base64.b64encode(record).decode() == vector["record"]
    assert opened(slot, record, place) == payload
    assert envelope.key_version(record) == "v0001"


def test_any_changed_bit_is_an_integrity_failure() -> None:
    slot = SoftSlot("a")
    record = sealed(slot)
    for changed in flips(record):
        with pytest.raises(IntegrityError):
            opened(slot, changed)


def test_no_changed_bit_opens_even_with_the_digest_that_it_needs() -> None:
    slot = SoftSlot("a")
    for changed in flips(sealed(slot)[32:]):
        with pytest.raises((IntegrityError, KeyMissing)):
            opened(slot, respell(changed))


def test_a_record_cut_anywhere_is_an_integrity_failure() -> None:
    slot = SoftSlot("a")
    record = sealed(slot)
    for size in range(len(record)):
        with pytest.raises(IntegrityError):
            opened(slot, record[:size])


@pytest.mark.parametrize(
    "place",
    [
        replace(PLACE, slot="b"),
        replace(PLACE, purpose="recovery"),
        replace(PLACE, cluster="other"),
        replace(PLACE, namespace="n"),
        replace(PLACE, path="core/seal/slots/b"),
        replace(PLACE, root_version=2),
    ],
)
def test_a_record_opens_at_its_own_place_only_even_if_it_says_another(place: RecordAddress) -> None:
    slot = SoftSlot("a")
    record = sealed(slot)
    with pytest.raises(IntegrityError, match="another place"):
        opened(slot, record, place)
    found = json.loads(record[32:])
    names = {"namespace": "ns", "root_version": "root_ver"}
    for name in ("slot", "purpose", "cluster", "namespace", "path", "root_version"):
        found["h"][names.get(name, name)] = getattr(place, name)
    forged = json.dumps(found, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(IntegrityError, match="was altered"):
        opened(slot, respell(forged), place)


def test_a_wrap_of_one_record_does_not_go_with_the_payload_of_another() -> None:
    slot = SoftSlot("a")
    first = json.loads(sealed(slot)[32:])
    second = json.loads(asyncio.run(envelope.seal(slot, PLACE, b"x", stream("other")))[32:])
    first["h"]["wrap"] = second["h"]["wrap"]
    forged = json.dumps(first, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(IntegrityError, match="was altered"):
        opened(slot, respell(forged))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"h":', b'"h" :'),
        lambda text: text + b" ",
        lambda text: b'{"c":"' + b"A" * 24 + b'",' + text[1:],
        lambda text: text.replace(b'"slot":"a"', b'"slot":"a","slot":"a"'),
        lambda text: text.replace(b'"slot":"a"', b'"slot":"\\u0061"'),
        lambda text: b"{" + b'"n":' + text.split(b'"n":')[1][:-1] + b"," + text[1:].split(b',"n":')[0] + b"}",
    ],
    ids=["space", "trailing", "twice-outside", "twice-inside", "escape", "order"],
)
def test_another_spelling_of_the_same_record_is_refused(change: Any) -> None:
    slot = SoftSlot("a")
    text = change(sealed(slot)[32:])
    assert json.loads(text)
    with pytest.raises(IntegrityError, match="is not spelt"):
        opened(slot, respell(text))


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b"[1]", b'{"c":1,"h":2,"n":3}'])
def test_what_is_no_record_is_an_integrity_failure(text: bytes) -> None:
    with pytest.raises(IntegrityError, match="unknown format"):
        opened(SoftSlot("a"), respell(text))


def test_a_version_that_does_not_exist_is_refused() -> None:
    slot = SoftSlot("a")
    text = sealed(slot)[32:].replace(b'"v":1', b'"v":2')
    with pytest.raises(IntegrityError, match="unknown format or version"):
        opened(slot, respell(text))


def test_a_slot_that_gives_back_another_key_or_no_key_is_noticed() -> None:
    class Liar(SoftSlot):
        answer = bytes(32)

        async def unwrap(self, wrapped: object) -> bytes:
            return self.answer

    slot = Liar("a")
    record = sealed(slot)
    for answer in (bytes(32), b"", bytes(31)):
        slot.answer = answer
        with pytest.raises(IntegrityError, match="was altered"):
            opened(slot, record)


@pytest.mark.parametrize("error", [SlotUnavailable("away"), KeyMissing("none")])
def test_what_a_slot_raises_is_passed_on(error: HsmError) -> None:
    slot = SoftSlot("a")
    record = sealed(slot)
    slot.away = error
    with pytest.raises(type(error)):
        opened(slot, record)
    with pytest.raises(type(error)):
        sealed(slot)


def test_a_payload_of_any_length_comes_back() -> None:
    slot = SoftSlot("a")
    for size in (0, 1, 32, 10_000):
        assert opened(slot, sealed(slot, payload=bytes(size))) == bytes(size)

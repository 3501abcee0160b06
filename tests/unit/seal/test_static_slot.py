# SPDX-License-Identifier: EUPL-1.2
"""The slot whose key the deployment provides."""

import asyncio
import base64
import os

import msgspec
import pytest

from hsm.errors import BadConfig, IntegrityError, KeyMissing
from tests.unit.barrier.stream import flips
from vault.barrier.key import Key
from vault.seal.static_slot import StaticSlot, parse_key

VALUE = bytes(range(32))
DEK = b"\7" * 32


def slot(name: str, key: bytes = VALUE, *, previous: tuple[str, bytes] | None = None) -> StaticSlot:
    old = (previous[0], Key(previous[1])) if previous else None
    return StaticSlot("s", name, Key(key), previous=old, random=os.urandom)


@pytest.mark.parametrize(
    "data", [VALUE, VALUE.hex().encode(), VALUE.hex().upper().encode(), base64.b64encode(VALUE), b"a" * 32]
)
def test_a_key_is_read_raw_in_hexadecimal_or_in_base64(data: bytes) -> None:
    expected = VALUE if data != b"a" * 32 else data
    assert parse_key("current_key", data).same(Key(expected))


@pytest.mark.parametrize(
    "data",
    [b"", b"abc", VALUE[:31], VALUE + b"\n", VALUE.hex().encode() + b"\n", b"z" * 64, base64.b64encode(VALUE)[:-1],
     base64.urlsafe_b64encode(b"\xff" * 32), b"\xff" * 44, base64.b64encode(b"\0" * 33)],
)  # fmt: skip
def test_anything_else_is_refused_by_field_and_without_its_value(data: bytes) -> None:
    with pytest.raises(BadConfig, match='seal "static": current_key: must be 32 bytes') as caught:
        parse_key("current_key", data)
    assert not data or data.decode("latin-1") not in str(caught.value)


def test_what_was_wrapped_comes_back_and_no_bit_of_it_can_change() -> None:
    async def scenario() -> None:
        here = slot("one")
        wrapped = await here.wrap(DEK)
        assert await slot("one").unwrap(wrapped) == DEK
        for field in ("iv", "ct"):
            for changed in flips(getattr(wrapped, field)):
                with pytest.raises(IntegrityError):
                    await here.unwrap(msgspec.structs.replace(wrapped, **{field: changed}))
        for other in (
            msgspec.structs.replace(wrapped, m="rsa"),
            msgspec.structs.replace(wrapped, iv=b""),
            msgspec.structs.replace(wrapped, mac=b"x"),
        ):
            with pytest.raises(IntegrityError, match="not wrapped by this slot"):
                await here.unwrap(other)
        with pytest.raises(IntegrityError, match="another one than wrapped"):
            await slot("one", b"\1" * 32).unwrap(wrapped)

    asyncio.run(scenario())


def test_the_previous_key_unwraps_and_the_current_one_wraps() -> None:
    async def scenario() -> None:
        old = await slot("one").wrap(DEK)
        here = slot("two", b"\1" * 32, previous=("one", VALUE))
        assert await here.unwrap(old) == DEK
        new = await here.wrap(DEK)
        assert new.k == "two"
        assert await here.unwrap(new) == DEK
        with pytest.raises(KeyMissing, match="the key two is neither"):
            await slot("one").unwrap(new)
        renamed = msgspec.structs.replace(old, k="two")
        with pytest.raises(IntegrityError):
            await slot("two", previous=("one", b"\1" * 32)).unwrap(renamed)

    asyncio.run(scenario())


def test_it_is_up_and_says_that_it_is_software() -> None:
    async def scenario() -> None:
        here = slot("one")
        state = await here.probe()
        assert (state.up, state.key_version, state.software) == (True, "one", True)
        assert (here.name, here.kind) == ("s", "static")
        await here.close()

    asyncio.run(scenario())

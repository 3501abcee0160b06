# SPDX-License-Identifier: EUPL-1.2
"""The same key in two tokens, from two components."""

import os
from collections.abc import Callable
from typing import Any, cast

import pkcs11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, ObjectClass

from hsm.agent.device import Device
from hsm.agent.keys.key_import import import_kek, token_check_value
from hsm.agent.session.module import Module
from hsm.agent.session.pool import SessionPool, TokenSession
from hsm.components import KEY_BYTES, check_value, combine
from hsm.errors import BadConfig
from hsm.pin import Pin
from hsm.token_info import WantedToken
from tests.hsm.tokens import PIN, SoftHsm

_ONE, _OTHER = bytes(range(32)), bytes(range(100, 132))
_key = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


def _sessions(softhsm: SoftHsm, module: Module, label: str) -> SessionPool:
    made = SessionPool(module, WantedToken(label=label), Pin(PIN.encode()), softhsm.gate())
    made.start()
    return made


def _importing(key: bytes) -> Callable[[TokenSession], object]:
    return lambda session: import_kek(session, "kek", b"v0001", key)


def _device(softhsm: SoftHsm, module: Module, label: str) -> Device:
    device = softhsm.device(label, module=module)
    device.start()
    return device


def test_what_one_token_wraps_the_other_unwraps(softhsm: SoftHsm, module: Module) -> None:
    key = combine([_ONE, _OTHER])
    for label in ("a", "b"):
        version = _sessions(softhsm, module, label).run(
            lambda session: import_kek(session, "kek", b"v0001", key), "import", write=True
        )
        assert (version.version, version.kind, version.bits) == ("v0001", "aes", 256)
        assert not version.protected  # it was outside a token once
    dek = os.urandom(32)
    assert _device(softhsm, module, "b").unwrap(_device(softhsm, module, "a").wrap(dek)) == dek


def test_the_token_gives_the_same_check_value(softhsm: SoftHsm, module: Module) -> None:
    key = combine([_ONE, _OTHER])
    sessions = _sessions(softhsm, module, "a")
    sessions.run(_importing(key), "import", write=True)
    assert sessions.run(lambda session: token_check_value(session, "kek", b"v0001"), "look") == check_value(
        key
    )


def test_a_version_is_imported_once(softhsm: SoftHsm, module: Module) -> None:
    sessions = _sessions(softhsm, module, "a")
    sessions.run(_importing(_ONE), "import", write=True)
    with pytest.raises(BadConfig, match="key kek id v0001: is taken"):
        sessions.run(_importing(_OTHER), "import", write=True)


class _Careless:
    """A token that takes keys in the clear, gives them out, and knows no check values."""

    def __init__(self) -> None:
        self.objects: list[_CarelessKey] = []

    def create_object(self, attributes: dict[Attribute, Any]) -> "_CarelessKey":
        self.objects.append(_CarelessKey(self, attributes))
        return self.objects[-1]

    def get_objects(self, wanted: object) -> "list[_CarelessKey]":
        return self.objects


class _CarelessKey:
    object_class = ObjectClass.SECRET_KEY
    handle = 1

    def __init__(self, token: _Careless, attributes: dict[Attribute, Any]) -> None:
        self._token = token
        self._attributes = {**attributes, Attribute.EXTRACTABLE: True}

    def __getitem__(self, attribute: Attribute) -> Any:
        if attribute not in self._attributes:
            raise pkcs11.AttributeTypeInvalid
        return self._attributes[attribute]

    def destroy(self) -> None:
        self._token.objects.remove(self)


def test_a_token_that_would_give_the_key_out_does_not_keep_it() -> None:
    token = _Careless()
    session = TokenSession(cast("pkcs11.Session", token), 0)
    with pytest.raises(BadConfig, match="so it was destroyed: it is extractable"):
        import_kek(session, "kek", b"v0001", _ONE)
    assert token.objects == []


def test_a_token_without_check_values_gives_none() -> None:
    token = _Careless()
    token.create_object(
        {
            Attribute.LABEL: "kek",
            Attribute.ID: b"v0001",
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
        }
    )
    vars(token.objects[0])["_attributes"][Attribute.EXTRACTABLE] = False
    assert token_check_value(TokenSession(cast("pkcs11.Session", token), 0), "kek", b"v0001") == ""


def test_a_check_value_is_three_bytes_of_a_block_of_zeros() -> None:
    # NIST's known answer: a block of zeros under a key of zeros is dc95c078a2408989ad48a21492842087.
    assert check_value(bytes(32)) == "dc95c0"


@given(_key, _key)
def test_components_combine_in_any_order_and_one_more_takes_it_back(one: bytes, other: bytes) -> None:
    if one == other or bytes(KEY_BYTES) in (one, other):
        return
    key = combine([one, other])
    assert key == combine([other, one])
    if key != one and key != bytes(KEY_BYTES):
        assert combine([key, one]) == other


@pytest.mark.parametrize(
    ("components", "says"),
    [
        ([_ONE], "at least two"),
        ([_ONE, _OTHER[1:]], "32 bytes"),
        ([_ONE, _ONE], "given twice"),
        ([_ONE, bytes(32)], "is zero"),
    ],
)
def test_what_is_no_set_of_components_is_refused(components: list[bytes], says: str) -> None:
    with pytest.raises(BadConfig, match=says):
        combine(components)


def test_a_dry_run_of_an_import_leaves_no_key(softhsm: SoftHsm, module: Module) -> None:
    sessions = _sessions(softhsm, module, "a")
    made = sessions.run(
        lambda session: import_kek(session, "kek", b"v0001", os.urandom(KEY_BYTES), dry_run=True),
        "import",
        write=True,
    )
    assert made.version == "v0001"
    assert _device(softhsm, module, "a").keys() == []

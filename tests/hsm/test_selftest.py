# SPDX-License-Identifier: EUPL-1.2
"""Tokens that are worse than any at hand: the trials say so."""

import os
from collections.abc import Callable
from typing import Any, cast

import pkcs11
import pytest
from pkcs11 import Attribute

from hsm.agent.selftest import CHECKS, Bench, CheckFailed, describe_failure


class _GivesAll:
    """A key that shows its value, takes any change for the same, and has one code for everything."""

    def __getitem__(self, attribute: Attribute) -> bytes:
        return b"the key itself"

    def encrypt(self, data: bytes, **_: object) -> bytes:
        return data

    def decrypt(self, data: bytes, **_: object) -> bytes:
        self.first = getattr(self, "first", data)
        return self.first

    def sign(self, data: bytes, **_: object) -> bytes:
        return b"same"

    def verify(self, data: bytes, signature: bytes, **_: object) -> bool:
        return True


class _Session:
    def generate_key(self, *_: object, **__: object) -> _GivesAll:
        return _GivesAll()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("value of a sensitive key stays hidden", "gives out the value of a sensitive key"),
        ("AES-GCM with bound data", "a changed byte is not noticed"),
        ("HMAC-SHA-256", "other data has the same code"),
    ],
)
def test_a_token_that_does_not_do_its_work_is_found_out(name: str, says: str) -> None:
    run: Callable[[Bench], Any] = next(check.run for check in CHECKS if check.name == name)
    with pytest.raises(CheckFailed, match=says):
        run(Bench(cast("pkcs11.Session", _Session()), os.urandom))


def test_a_key_without_the_wanted_use_is_described() -> None:
    assert describe_failure(AttributeError("encrypt")) == "the key has no such use"

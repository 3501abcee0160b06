# SPDX-License-Identifier: EUPL-1.2
"""Whatever reads text from outside costs as much as the text is long, and little: at n and 4n, for hostile patterns."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import pytest

from tests.growth import excess
from vault.engines.totp.codes import given_key
from vault.engines.totp.model import KeyParams
from vault.framework import schema
from vault.framework.errors import Malformed
from vault.framework.fields import COERCE
from vault.framework.path import canonical
from vault.framework.request import exact_json
from vault.values.encoding import from_base64, from_hex
from vault.wire.options import check_consistency, check_merge_patch, only_readable, within, wrap_ttl

_SIZE: Final = 1 << 18
"""A quarter of a megabyte: four times as much is one."""
_MOST: Final = 0.3
"""Seconds of processor time that one megabyte may cost."""

TEXTS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "digits": lambda n: b"1" * n,
    "digits and a letter": lambda n: b"1" * n + b"x",
    "runs of 308 digits": lambda n: b"[" + b",".join([b"1" * 308] * (n // 309)) + b"]",
    "fractions": lambda n: b"1." * (n // 2),
    "units": lambda n: b"1s" * (n // 2),
    "signs": lambda n: b"+-" * (n // 2),
    "blanks": lambda n: b" " * n,
    "line ends": lambda n: b"\r\n" * (n // 2),
    "letters": lambda n: b"a" * n,
    "padding": lambda n: b"=" * n,
    "padded letters": lambda n: b"A" * (n - 2) + b"==",
    "commas": lambda n: b"," * n,
    "items": lambda n: b"a," * (n // 2),
    "pairs": lambda n: b"a=b," * (n // 4),
    "slashes": lambda n: b"/" * n,
    "parents": lambda n: b"a/../" * (n // 5),
    "folders, then parents": lambda n: b"a/" * (n // 4) + b"../" * (n // 6),
    "dots": lambda n: b"." * n,
    "percent signs": lambda n: b"%" * n,
    "encoded letters": lambda n: b"%41" * (n // 3),
    "encoded bytes that are no text": lambda n: b"%ff" * (n // 3),
    "fields of one name": lambda n: b"&".join([b"a=" + b"x" * (n // 999 - 3)] * 999),
    "fields": lambda n: b"a=b&" * (n // 4),
    "brackets": lambda n: b"[" * n,
    "closing brackets": lambda n: b"[" * 101 + b"]" * n,
    "empty lists": lambda n: b"[" + b"[]," * (n // 3) + b"[]]",
    "deep lists": lambda n: b"[" + (b"[" * 90 + b"]" * 90 + b",") * (n // 181) + b"1]",
    "objects": lambda n: b'{"a":' * (n // 5),
    "escaped quotes without an end": lambda n: b'{"a":"' + b'\\"' * (n // 2),
    "escaped quotes": lambda n: b'{"a":"' + b'\\"' * (n // 2) + b'"}',
    "quotes": lambda n: b'"' * n,
    "backslashes": lambda n: b'"' + b"\\" * n,
    "strings": lambda n: b'["' + b'","' * (n // 3) + b'"]',
    "numbers": lambda n: b'{"a":[' + b"1," * (n // 2) + b"1]}",
    "a long string": lambda n: b'{"a":"' + b"x" * n + b'"}',
    "a long string of digits": lambda n: b'{"a":"' + b"1" * n + b'"}',
    "letters of two bytes": lambda n: "é".encode() * (n // 2),
    "NUL": lambda n: b"\0" * n,
}
"""Hostile texts of about `n` bytes."""

READERS: Final[Mapping[str, Callable[[bytes], object]]] = {
    "body": schema.decode_object,
    "body's fields": schema.decode_fields,
    "form": schema.decode_form,
    "query": schema.decode_query,
    "path": canonical,
    "base64": lambda text: from_base64(text.decode("latin-1")),
    "hexadecimal": lambda text: from_hex(text.decode("latin-1")),
    "numbers as they were spelled": exact_json.decode,
    "X-Vault-Wrap-TTL": wrap_ttl,
    "X-Vault-Namespace": within,
    "X-Vault-Index": partial(check_consistency, b"x-vault-index"),
    "X-Vault-Inconsistent": partial(check_consistency, b"x-vault-inconsistent"),
    "X-Vault-List-Filter": only_readable,
    "Content-Type of a patch": check_merge_patch,
}
"""What reads bytes of a stranger, by name."""


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_costs_what_its_input_is_long(reader: str, text: str) -> None:
    def work(size: int) -> Callable[[], object]:
        return partial(READERS[reader], TEXTS[text](size))

    assert excess(work, _SIZE, _MOST) == ""


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", COERCE)
def test_a_field_costs_what_its_text_is_long(kind: str, text: str) -> None:
    def work(size: int) -> Callable[[], object]:
        return partial(COERCE[kind], TEXTS[text](size).decode("latin-1"), "field")

    assert excess(work, _SIZE, _MOST) == ""


_VALUES: Final[Mapping[str, Callable[[int], Any]]] = {
    "a list of numbers": lambda n: [1] * (n // 2),
    "a list of lists": lambda n: [[]] * (n // 3),
    "a list of names": lambda n: ["a"] * (n // 4),
    "a list of pairs": lambda n: ["a=b"] * (n // 6),
    "an object": lambda n: {str(number): number for number in range(n // 12)},
    "long numbers": lambda n: [10**307] * (n // 308),
}
"""What one megabyte of JSON may become."""


@pytest.mark.parametrize("value", _VALUES)
@pytest.mark.parametrize("kind", COERCE)
def test_a_field_costs_what_its_value_is_large(kind: str, value: str) -> None:
    def work(size: int) -> Callable[[], object]:
        return partial(COERCE[kind], _VALUES[value](size), "field")

    assert excess(work, _SIZE, _MOST) == ""


@pytest.mark.parametrize("text", TEXTS)
def test_the_url_of_a_totp_key_costs_what_it_is_long(text: str) -> None:
    def work(size: int) -> Callable[[], object]:
        url = f"otpauth://totp/a?{TEXTS[text](size).decode('latin-1')}"
        return partial(given_key, KeyParams(name="x", url=url))

    assert excess(work, _SIZE, _MOST / 10) == ""


def test_a_long_totp_key_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Malformed, match="the key may have at most 4096 characters"):
        given_key(KeyParams(name="x", key="A" * (1 << 20)))
    assert len(given_key(KeyParams(name="x", key="A" * 4096)).secret) == 2560

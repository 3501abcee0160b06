# SPDX-License-Identifier: EUPL-1.2
"""Request bodies from arguments, files and standard input."""

import io
from pathlib import Path

import pytest

from vaultctl.body import LONGEST, parse_body, parse_query
from vaultctl.errors import CommandError
from vaultctl.text.json import compact


def _body(*arguments: str, stdin: str = "") -> str:
    return compact(parse_body(arguments, io.StringIO(stdin)))


def test_values_are_texts() -> None:
    assert _body("a=1", "b=true", "c=", "d=x=y") == '{"a":"1","b":"true","c":"","d":"x=y"}'


def test_a_key_given_twice_becomes_a_list() -> None:
    assert _body("a=1", "a=2", "a=3") == '{"a":["1","2","3"]}'


def test_a_value_comes_from_a_file_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_bytes(b"line\r\nline\n")
    assert _body(f"a=@{file}") == '{"a":"line\\r\\nline\\n"}'


def test_a_value_comes_from_standard_input() -> None:
    assert _body("a=-", stdin="secret\n") == '{"a":"secret\\n"}'


def test_a_backslash_keeps_the_at_sign() -> None:
    assert _body("a=\\@file") == '{"a":"@file"}'


def test_a_whole_body_keeps_its_numbers(tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    text = '{"big":12345678901234567890,"f":1.50,"e":1E5,"deep":{"l":[null,true]}}'
    file.write_text(text, encoding="utf-8")
    assert _body(f"@{file}") == text
    assert _body("-", stdin=text) == text


@pytest.mark.parametrize("argument", ["hunter2", "-", "@missing-file", "a=@missing-file"])
def test_an_error_never_repeats_a_value(argument: str) -> None:
    with pytest.raises(CommandError) as caught:
        _body(argument, stdin="hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.code == 1


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(CommandError, match="JSON object"):
        _body("-", stdin="[1]")


def test_a_binary_file_is_refused_with_advice(tmp_path: Path) -> None:
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match="base64"):
        _body(f"a=@{file}")


def test_query_parameters_may_repeat() -> None:
    assert parse_query(["a=1", "a=2", "b="]) == {"a": ["1", "2"], "b": [""]}
    with pytest.raises(CommandError):
        parse_query(["a"])


def test_standard_input_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(CommandError, match="not UTF-8"):
        parse_body(["a=-"], io.TextIOWrapper(io.BytesIO(b"a\xff"), encoding="utf-8"))
    with pytest.raises(CommandError, match="not UTF-8"):
        _body("a=-", stdin="a\udcff")


def test_standard_input_is_there_for_one_argument() -> None:
    """A second one would write nothing where a secret was meant."""
    for arguments in (("a=-", "b=-"), ("-", "b=-"), ("a=-", "-")):
        with pytest.raises(CommandError, match="data argument 2: standard input was read already"):
            _body(*arguments, stdin='{"x": "y"}')


@pytest.mark.parametrize("argument", ["key=@/dev/zero", "@/dev/zero"])
def test_a_file_without_end_is_not_read_to_its_end(argument: str) -> None:
    with pytest.raises(CommandError, match=r"cannot read the file /dev/zero: it is longer than 32 MiB"):
        parse_body([argument], io.StringIO())


@pytest.mark.parametrize("argument", ["key=-", "-"])
def test_standard_input_without_end_is_not_read_to_its_end(argument: str) -> None:
    with (
        open("/dev/zero", encoding="utf-8") as endless,
        pytest.raises(CommandError, match="longer than 32 MiB"),
    ):
        parse_body([argument], endless)


def test_the_longest_text_that_a_server_takes_is_read_whole() -> None:
    assert parse_body(["key=-"], io.StringIO("a" * LONGEST)) == {"key": "a" * LONGEST}

# SPDX-License-Identifier: EUPL-1.2
"""Tables, JSON, YAML and single fields."""

import io
import re

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from vaultctl.errors import CommandError
from vaultctl.invocation import Invocation
from vaultctl.text.go import go_text, human_duration
from vaultctl.text.json import compact, parse, pretty
from vaultctl.text.output import columns, field_of, secret_document, secret_rows, titled, warnings_text
from vaultctl.text.yaml import dump

# A sign of equality alone, and a fraction with an underscore that separates no digits, are texts to every reader of
# YAML but PyYAML: `bao` writes them without quotes too.
_PYYAMLS = re.compile(r"=|\.[0-9][0-9_]*_(_[0-9_]*)?([eE][-+][0-9]+)?")
_TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: not _PYYAMLS.fullmatch(text))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=15,
)


def test_columns_align_and_an_empty_cell_is_named() -> None:
    assert columns([("Key", "Value"), ("a", ""), ("longer", "x")]) == (
        "Key       Value\n---       -----\na         n/a\nlonger    x"
    )


def test_values_look_as_go_prints_them() -> None:
    assert go_text({"b": [1, None, True], "a": "x"}) == "map[a:x b:[1 <nil> true]]"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (60, "1m"), (3600, "1h"), (5400, "1h30m"), (2764800, "768h"), (61, "1m1s")],
)
def test_durations_for_people_end_early(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def test_a_title_has_two_signs_on_each_side_when_it_is_wider_than_the_table() -> None:
    assert titled("Data", 3) == "== Data =="
    assert titled("Data", 13) == "==== Data ===="


@given(_JSON)
def test_json_reads_back(value: object) -> None:
    assert parse(compact(value)) == value
    assert parse(pretty(value)) == value


def test_json_escapes_what_go_escapes() -> None:
    assert compact("<é&>\u2028") == '"\\u003cé\\u0026\\u003e\\u2028"'


@example(".2_15")
@example({".5_6e+3": [".2_1_5", ".2-_5", "._5", "-.2_", "+23:48", "2_7:3._4"]})
@given(_JSON)
def test_yaml_reads_back(value: object) -> None:
    assert yaml.safe_load(dump(value)) == value


def test_a_long_key_stays_on_one_line_and_a_longer_one_gets_a_line_of_its_own() -> None:
    words = "aaaa bbbb " * 12 + "c"
    assert dump({words: "1"}) == f'{words}: "1"\n'
    assert dump({"k" * 128: "x", "l" * 129: [1, {"a": 2}], "m" * 129: {"b": {}}}) == (
        f"{'k' * 128}: x\n? {'l' * 129}\n: - 1\n  - a: 2\n? {'m' * 129}\n: b: {{}}\n"
    )


@given(st.text(st.characters(codec="utf-8"), min_size=90, max_size=300))
def test_a_long_key_reads_back(key: str) -> None:
    document = {"outer": [{key: {key: "value"}}, [key]]}
    assert yaml.safe_load(dump(document)) == document


def test_a_response_without_auth_shows_none() -> None:
    document = secret_document({"request_id": "r", "data": {"b": 1, "a": 2}, "auth": None, "wrap_info": None})
    assert list(document) == ["request_id", "lease_id", "lease_duration", "renewable", "data", "warnings"]
    assert compact(document["data"]) == '{"a":2,"b":1}'


def test_a_login_shows_its_token_first() -> None:
    rows = secret_rows({"auth": {"client_token": "s.x", "lease_duration": 0, "policies": ["root"]}})
    assert rows[0] == ("token", "s.x")
    assert ("token_duration", "∞") in rows
    assert ("policies", '["root"]') in rows


def test_fields_come_from_the_data_the_lease_the_auth_or_the_wrapping() -> None:
    assert field_of({"data": {"a": 1}}, "a") == 1
    assert field_of({"lease_duration": 5, "data": {}}, "refresh_interval") == 5
    assert field_of({"auth": {"client_token": "s.x"}}, "token") == "s.x"
    assert field_of({"wrap_info": {"token": "s.w"}}, "wrapping_token") == "s.w"
    assert field_of({"data": None}, "a") is None


def test_warnings_are_wrapped_bullets() -> None:
    assert warnings_text(None) == ""
    lines = warnings_text(["word " * 30]).split("\n")
    assert lines[2].startswith("  * word")
    assert max(map(len, lines)) <= 80


def test_a_field_has_no_newline_and_a_missing_one_is_an_error() -> None:
    out = io.StringIO()
    run = Invocation(
        [], {"field": "a"}, form="table", environ={}, stdin=io.StringIO(), stdout=out, stderr=io.StringIO()
    )
    assert run.print_answer({"data": {"a": "x"}}) == 0
    assert out.getvalue() == "x"
    with pytest.raises(CommandError, match="not present") as caught:
        run.print_answer({"data": {}})
    assert caught.value.code == 1

# SPDX-License-Identifier: EUPL-1.2
"""HCL 1: what is read, what is refused and in which words, and that JSON says the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.test_costs import seconds
from vault.framework.hcl.parser import MAX_CHARACTERS, parse
from vault.framework.hcl.syntax_tree import MAX_DEPTH, Block, HclError, Item, Value


def plain(value: Value) -> Any:
    """The value without positions: blocks as lists of (keys, value)."""
    if isinstance(value, Block):
        return [(item.keys, plain(item.value)) for item in value.items]
    return tuple(plain(v) for v in value) if isinstance(value, tuple) else value


def read(text: str) -> Any:
    return plain(parse(text))


def only(text: str) -> Item:
    (item,) = parse(text).items
    return item


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a = 1", 1),
        ("a = -7", -7),
        ("a = 0x1F", 31),
        ("a = 010", 8),
        ("a = 0", 0),
        ("a = 1.5", 1.5),
        ("a = .5", 0.5),
        ("a = 1e2", 100.0),
        ("a = true", True),
        ("a = false", False),
        ('a = "x"', "x"),
        ('a = "\\x41\\101\\u00e9\\U0001F600\\n\\""', 'AAé😀\n"'),
        ('a = "${x "y" {z}}"', '${x "y" {z}}'),
        ('a = "${\\n\n}"', "${\\n\n}"),
        ('a = "$ { } ${} é"', "$ { } ${} é"),
        ('a = "${ {"x"} "y" }"', '${ {"x"} "y" }'),
        ("a = []", ()),
        ("a = [1,]", (1,)),
        ("a = [,1,,2]", (1, 2)),
        ("a = [1 /* one */, # two\n[true]]", (1, (True,))),
        ("a = [{b = 1}]", ([(("b",), 1)],)),
        ("a = <<EOF\nhi\n there\nEOF\n", "hi\n there\n"),
        ("a = <<EOF\nhi\n  EOF", "hi\n"),
        ("a = <<-EOF\n  hi\n    there\n  EOF\n", "hi\n  there\n"),
        ("a = <<-EOF\n hi\n  EOF\n", " hi\n"),
        ("a = <<EOF\r\nhi\r\nEOF\r\n", "hi\r\n"),
        ("a = <<EOF\nEOF", ""),
        ("a = {}", []),
        ("a\n=\n1", 1),
        ("a = 1,", 1),
    ],
)
def test_values_are_read(text: str, value: object) -> None:
    assert plain(only(text).value) == value


def test_blocks_have_labels_and_duplicates_stay_in_order() -> None:
    text = 'path "a" { x = 1 y = 2 }, path "b" "c" {}\n"path" d { x = 1 x = 3 }\nz.y-w = 1'
    assert read(text) == [
        (("path", "a"), [(("x",), 1), (("y",), 2)]),
        (("path", "b", "c"), []),
        (("path", "d"), [(("x",), 1), (("x",), 3)]),
        (("z.y-w",), 1),
    ]
    assert [item.labels for item in parse(text).named("path")] == [("a",), ("b", "c"), ("d",)]


def test_comments_of_all_three_kinds_are_skipped() -> None:
    assert read("# a = 1\n// b = 1\n/* c = 1\n */ d = 1 # e") == [(("d",), 1)]
    assert read("") == read(" \r\n\t") == []


def test_positions_count_from_one() -> None:
    item = only('\n\n  key "label" {\n}')
    assert (item.key, item.line, item.column, item.value_line, item.value_column) == ("key", 3, 3, 3, 15)
    assert not item.assigned
    assert only("k = 1").assigned


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('p "a" = { }', "At 1:7: nested object expected: LBRACE got: ASSIGN"),
        ("p a:b { }", "At 1:4: illegal char"),
        ('a = ["x" "y"]', "At 1:10: error parsing list, expected comma or list end, got: STRING"),
        ("a = [b]", "At 1:6: unexpected token while parsing list: IDENT"),
        ("a = hunter2", "At 1:5: Unknown token: 1:5 IDENT"),
        ("a = }", "At 1:5: Unknown token: 1:5 RBRACE }"),
        ("a { b = 1", "At 1:11: object expected closing RBRACE got: EOF"),
        ("a", "At 1:3: key expected start of object ('{') or assignment ('=')"),
        ("a }", "At 1:3: key expected start of object ('{') or assignment ('=')"),
        ("a {}}", "At 1:5: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE"),
        ("a = 1 2", "At 1:7: expected: IDENT | STRING | ASSIGN | LBRACE got: NUMBER"),
        ("a 1", "At 1:3: expected: IDENT | STRING | ASSIGN | LBRACE got: NUMBER"),
        ("= 1", "At 1:1: no object keys found!"),
        ("# c\n{}", "At 2:1: expected: IDENT | STRING got: LBRACE"),
        ('a = "b', "At 1:7: literal not terminated"),
        ('a = "b\n"', "At 1:7: literal not terminated"),
        ('a = "\\q"', "At 1:7: illegal char escape"),
        ('a = "\\u12"', "At 1:10: illegal char escape"),
        ('a = "\\ud800"', "At 1:7: illegal char escape"),
        ('a = "\\U00110000"', "At 1:7: illegal char escape"),
        ('a = "\\777"', "At 1:7: illegal char escape"),
        ('a = "\\xff"', "At 1:7: illegal char escape"),
        ("a = <<E F\n", "At 1:8: invalid characters in heredoc anchor"),
        ("a = <<\n", "At 1:7: zero-length heredoc anchor"),
        ("a = <<E\nx", "At 2:2: heredoc not terminated"),
        ("a = <<E", "At 1:8: heredoc not terminated"),
        ("/* x", "At 1:5: comment not terminated"),
        ("/ x", "At 1:1: expected '/' for comment"),
        ("a = \0", "At 1:5: unexpected null character (0x00)"),
        ("a = \ud800", "At 1:5: illegal UTF-8 encoding"),
        ("a = 0x", "At 1:5: illegal hexadecimal number"),
        ("a = 08", "At 1:5: illegal octal number"),
        ("a = 9223372036854775808", "At 1:5: number out of range"),
        ("a = 1e999", "At 1:5: number out of range"),
        ("a = 1e", "At 1:5: illegal number"),
        ("a = " + "1" * 5000, "At 1:5: number out of range"),
        ("a = " + "[" * (MAX_DEPTH + 1), f"At 1:{MAX_DEPTH + 5}: nested deeper than {MAX_DEPTH} levels"),
        ("a" * (MAX_CHARACTERS + 1), f"At 1:1: text is longer than {MAX_CHARACTERS} characters"),
        ("{\"a\": 'b'}", "1:7: illegal char"),
        ('{"a" {}}', "1:6: expected: COLON got: LBRACE"),
        ('{"a": 1', "1:8: expected: COMMA | RBRACE got: EOF"),
        ('{"a": 1}}', "1:9: expected: EOF got: RBRACE"),
        ('{"a": 01}', "1:7: illegal char"),
        ('{"a": "\\ud800"}', "1:7: illegal char escape"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(HclError) as raised:
        parse(text)
    assert str(raised.value) == message
    assert (raised.value.line, raised.value.column) == tuple(
        int(n) for n in message.removeprefix("At ").split(":")[:2]
    )


def test_json_objects_become_labels_and_lists_of_objects_become_repeated_items() -> None:
    text = '{"path": {"a": {"x": [1, null, true, 1.5]}, "b": {}}, "l": [{"t": {"p": 1}}, {"u": {"p": 2}}], "e": {}}'
    assert read(text) == [
        (("path", "a"), [(("x",), (1, None, True, 1.5))]),
        (("path", "b"), []),
        (("l", "t"), [(("p",), 1)]),
        (("l", "u"), [(("p",), 2)]),
        (("e",), []),
    ]
    assert read('{"a": [], "a": "\\u00e9\\/"}') == [(("a",), ()), (("a",), "é/")]
    assert read('{"a": {"b": {"c": 1}, "d": 2}}') == [(("a",), [(("b",), [(("c",), 1)]), (("d",), 2)])]


def test_neither_errors_nor_representations_show_a_value() -> None:
    body = parse('token = "hunter2"')
    assert "hunter2" not in repr(body) + repr(body.items)
    for text in (
        'token = hunter2"',
        "token = hunter2",
        'token = "hunter2',
        '{"token": hunter2}',
        "token = [hunter2]",
    ):
        with pytest.raises(HclError) as raised:
            parse(text)
        assert "hunter2" not in str(raised.value) + repr(raised.value)


_PIECES = [
    "a",
    '"b"',
    "=",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "1",
    "-",
    ".",
    "<<E\nx\nE\n",
    "<<",
    "${",
    "\\",
    "//",
    "/*",
    "\n",
    "null",
]


@given(
    st.one_of(st.text(), st.lists(st.sampled_from(_PIECES)).map(" ".join), st.text().map(lambda t: "{" + t))
)
def test_any_text_is_read_or_refused_as_not_being_hcl(text: str) -> None:
    try:
        place = (parse(text), 1, 1)[1:]
    except HclError as error:
        place = (error.line, error.column)
    assert min(place) >= 1


_WORD = st.text("abcxyz_", min_size=1, max_size=5)
_SCALAR = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_characters="$\0", exclude_categories=["Cs"]), max_size=8),
)
_ATTRIBUTES = st.dictionaries(
    _WORD, st.one_of(_SCALAR, st.lists(_SCALAR, max_size=3)), min_size=1, max_size=4
)
_BLOCKS = st.dictionaries(st.tuples(_WORD, _WORD), _ATTRIBUTES, max_size=4)


def _hcl(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_hcl(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@given(_ATTRIBUTES, _BLOCKS)
def test_the_json_form_reads_like_the_hcl_form(
    attributes: dict[str, object], blocks: dict[tuple[str, str], dict[str, object]]
) -> None:
    def body(values: dict[str, object]) -> str:
        return "\n".join(f"{key} = {_hcl(value)}" for key, value in values.items())

    hcl = body(attributes) + "".join(
        f'\nblock_{k} "{label}" {{\n{body(v)}\n}}' for (k, label), v in blocks.items()
    )
    pairs = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in attributes.items()]
    pairs += [f'"block_{k}": {{"{label}": {json.dumps(v)}}}' for (k, label), v in blocks.items()]
    assert read(hcl) == read("{" + ", ".join(pairs) + "}")


@pytest.mark.parametrize("word", ['""', "a "])
def test_sl_70_labels_cost_as_many_as_they_are(word: str) -> None:
    def refused(count: int) -> None:
        with pytest.raises(HclError, match="expected start of object"):
            parse(word * count)

    assert seconds(lambda: refused(16_000)) < 0.01 + 7 * seconds(lambda: refused(4_000))

# SPDX-License-Identifier: EUPL-1.2
"""Policy files are laid out anew and mean the same; tests/cli compares the layout with bao's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultctl.errors import CommandError
from vaultctl.text.hcl import format_hcl


def test_blocks_are_indented_and_equals_signs_aligned() -> None:
    text = 'path "a" {\ncapabilities=["read","list"]\nmin_wrapping_ttl="1s"\n}'
    assert format_hcl(text) == (
        'path "a" {\n  capabilities     = ["read", "list"]\n  min_wrapping_ttl = "1s"\n}\n'
    )


def test_comments_stay_with_what_they_explain() -> None:
    text = '# above\npath "a" { # opens\n capabilities = ["read"] // behind\n}\n# last'
    formatted = format_hcl(text)
    for comment in ("# above\npath", '["read"] // behind', "# opens", "# last"):
        assert comment in formatted


def test_heredocs_are_not_touched() -> None:
    text = 'path "a" {\ncomment = <<EOF\n  kept  as it is\n\t\nEOF\n}\n'
    assert "<<EOF\n  kept  as it is\n\t\nEOF\n" in format_hcl(text)


def test_nothing_becomes_nothing() -> None:
    assert format_hcl(" \n\n") == ""


@pytest.mark.parametrize(
    "text",
    ['a = "hunter2', "a {", "a = [hunter2", "= hunter2", "a = ", "}", 'a = [ = "hunter2" ]', "hunter2"],
)
def test_what_is_not_hcl_is_refused_by_line_without_its_text(text: str) -> None:
    with pytest.raises(CommandError, match="line 1") as caught:
        format_hcl(text)
    assert "hunter2" not in str(caught.value)


def test_a_comment_behind_a_lone_comma_does_not_belong_to_the_comments_before() -> None:
    assert format_hcl("# above\n\n, # behind\na = 1") == "# above\n\n# behind\na = 1\n"


def test_two_comments_behind_one_attribute_both_stay() -> None:
    assert format_hcl("a = 1 /* one */ # two") == "a = 1 /* one */ # two\n"


_WORDS = st.sampled_from(
    ["a", "bb", '"c d"', '"x"', "1", "{", "}", "[", "]", "=", ",", "# c\n", "/* d */", "\n", "\n\n"]
)


@given(st.lists(_WORDS, max_size=25).map(" ".join))
def test_formatting_twice_changes_nothing_and_keeps_every_word(text: str) -> None:
    try:
        once = format_hcl(text)
    except CommandError:
        return
    assert format_hcl(once) == once
    assert sorted(_words(once)) == sorted(_words(text))


def _words(text: str) -> list[str]:
    for char in "{}[]=,":
        text = text.replace(char, " ")
    return text.split()

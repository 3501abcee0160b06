# SPDX-License-Identifier: EUPL-1.2
"""Pages are elements and texts, and no text becomes an element."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from nhi.picture.node import shown
from vault.ui.html.elements import Html, el, joined


class _Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(), st.text())
def test_a_text_stays_a_text_and_an_attribute_an_attribute(text: str, value: str) -> None:
    seen = _Seen(el("p", text, title=value))
    assert seen.tags == ["p"]
    assert seen.text == "\n".join(map(shown, text.split("\n")))
    assert seen.attributes == [("title", "\n".join(map(shown, value.split("\n"))))]


def test_markup_comes_from_elements_only() -> None:
    inner = el("b", "<i>&")
    assert (
        joined(["<p>", inner, None, ["a", inner]]) == "&lt;p&gt;<b>&lt;i&gt;&amp;</b>a<b>&lt;i&gt;&amp;</b>"
    )
    assert not isinstance(inner + "<script>", Html)
    assert joined(inner + "<script>") == "&lt;b&gt;&amp;lt;i&amp;gt;&amp;amp;&lt;/b&gt;&lt;script&gt;"


def test_attributes_are_written_as_html_has_them() -> None:
    written = el("input", name="x", required=True, autofocus=False, aria_label='"', class_="a")
    assert written == '<input name="x" required aria-label="&quot;" class="a">'


def test_what_turns_text_around_or_does_not_print_is_shown_by_its_number() -> None:
    assert joined("a\u202eb\x00\nc\u2028") == "a\\u{202e}b\\u{0}\nc\\u{2028}"

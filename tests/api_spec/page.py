# SPDX-License-Identifier: EUPL-1.2
"""The text of the specification as one page of HTML: chapters and annexes in their order, a table of contents, no script."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.api_spec.pieces import piece
from tests.api_spec.requirements import FOLDER, SPEC, registry

TEXT: Final = FOLDER / "spec"
_STYLE: Final = Path(__file__).with_name("page.css")
_MARKER: Final = re.compile(r"\{\{(.+)\}\}")
_ID: Final = re.compile(r"\b(ESA-[A-Z]{2,3}-\d{3})\b")
_PROFILES: Final = {each["name"] for each in registry("profiles")}
_TITLE: Final = f"European Secrets API {SPEC}"
_CHAPTER: Final = re.compile(r"(\d\d|annex-([a-z]))-[a-z-]+")


class BadText(ValueError):
    """The text can't be made into a page: it names a file or a piece that is not there."""


@dataclass
class _Chapter:
    """One file of the text: `08-secrets.md` is chapter 8, `annex-c-schemas.md` annex C, `front.md` what comes first."""

    stem: str
    sections: int = 0
    contents: list[tuple[int, str, str]] = field(default_factory=list)
    """Level, id and title of each heading of the first two levels."""

    @property
    def id(self) -> str:
        found = _CHAPTER.fullmatch(self.stem)
        if found is None:
            return self.stem
        return f"annex-{found[2]}" if found[2] else f"chapter-{int(found[1])}"

    @property
    def number(self) -> str:
        found = _CHAPTER.fullmatch(self.stem)
        if found is None:
            return ""
        return found[2].upper() if found[2] else str(int(found[1]))


def page(text: Path = TEXT) -> str:
    """The whole page; BadText where a link or a piece leads nowhere."""
    chapters = [_Chapter(path.stem) for path in ordered(text)]
    bodies = [
        _body(chapter, (text / f"{chapter.stem}.md").read_text(encoding="utf-8")) for chapter in chapters
    ]
    contents = "".join(_entries(chapters))
    rest = "".join(
        f'<article id="{one.id}">\n{body}</article>\n'
        for one, body in zip(chapters[1:], bodies[1:], strict=True)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{_TITLE}</title>\n'
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        f'<header id="front">\n{bodies[0]}</header>\n'
        f'<nav aria-label="Contents">\n<h2>Contents</h2>\n<ol>\n{contents}</ol>\n</nav>\n'
        f"<main>\n{rest}</main>\n</body>\n</html>\n"
    )


def ordered(text: Path = TEXT) -> list[Path]:
    """The files of the text as they are read: what comes first, chapters, annexes."""
    first = text / "front.md"
    return [first, *sorted(text.glob("[0-9][0-9]-*.md")), *sorted(text.glob("annex-*.md"))]


def _entries(chapters: Sequence[_Chapter]) -> Iterator[str]:
    for chapter in chapters[1:]:
        (_, first, title), *others = chapter.contents
        inside = "".join(f'<li><a href="#{each}">{escape(name)}</a></li>\n' for _, each, name in others)
        yield f'<li><a href="#{first}">{escape(title)}</a>{f"<ol>{inside}</ol>" if inside else ""}</li>\n'


def _body(chapter: _Chapter, text: str) -> str:
    """The HTML of one file."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for position, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag in {"h1", "h2"}:
            _number(chapter, token, tokens[position + 1])
        elif token.type == "inline":
            found = _MARKER.fullmatch(token.content)
            if found:
                _replace(tokens, position, piece(found[1]))
            else:
                token.children = list(_linked(token.children or []))
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _number(chapter: _Chapter, heading: Token, title: Token) -> None:
    """Give a heading its number and its id."""
    slug = re.sub(r"[^\w\- ]", "", title.content.lower()).strip().replace(" ", "-")
    if heading.tag == "h1":
        annex = "Annex " if chapter.number.isalpha() else ""
        number, anchor = f"{annex}{chapter.number}", chapter.id
    else:
        chapter.sections += 1
        number, anchor = f"{chapter.number}.{chapter.sections}", f"{chapter.id}.{slug}"
        heading.attrSet("id", anchor)
    if chapter.number and title.children:
        shown = Token("text", "", 0)
        shown.content = f"{number}  "
        title.children.insert(0, shown)
    chapter.contents.append((int(heading.tag[1]), anchor, f"{number} {title.content}"))


def _replace(tokens: list[Token], position: int, html: str) -> None:
    """Put HTML in the place of the paragraph whose text stands at `position`."""
    for each in (position - 1, position, position + 1):
        tokens[each] = Token("html_block", "", 0)
    tokens[position].content = html


def _linked(children: Sequence[Token]) -> Iterator[Token]:
    """Pieces of a line: links to other files lead into this page; ids of requirements and names of profiles are links."""
    inside = False
    for child in children:
        if child.type == "link_open":
            inside = True
            child.attrSet("href", _target(str(child.attrGet("href"))))
        elif child.type == "link_close":
            inside = False
        if child.type == "text" and not inside:
            yield from _split(child.content)
        elif child.type == "code_inline" and not inside and child.content in _PROFILES:
            yield from _link(f"profile-{child.content}", child)
        else:
            yield child


def _split(text: str) -> Iterator[Token]:
    for number, part in enumerate(_ID.split(text)):
        shown = Token("text", "", 0)
        shown.content = part
        if number % 2:
            yield from _link(part, shown)
        else:
            yield shown


def _link(target: str, shown: Token) -> Iterator[Token]:
    yield Token("link_open", "a", 1, attrs={"href": f"#{target}"})
    yield shown
    yield Token("link_close", "a", -1)


def _target(href: str) -> str:
    """Where a link of the text leads on the page."""
    path, _, heading = href.partition("#")
    if not path.endswith(".md"):
        return href
    if not (TEXT / path).exists():
        raise BadText(f"no such file: {path}")
    chapter = _Chapter(path.removesuffix(".md"))
    return f"#{chapter.id}.{heading}" if heading else f"#{chapter.id}"

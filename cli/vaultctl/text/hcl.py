# SPDX-License-Identifier: EUPL-1.2
"""A formatter for policy files, on tokens: it never changes what the text means, only how it is laid out.

Layout as `bao policy fmt`: two blanks per level; `=` aligned over attributes on neighbouring lines; an empty
line between everything else; comments stay with what they stand above or behind.
"""

from __future__ import annotations

import re

from vaultctl.errors import CommandError

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
  | (?P<heredoc><<-?(?P<tag>\w+)\n(?:.*?\n)??[ \t]*(?P=tag)(?=\n|\Z))
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<punct>[{}\[\],=:])
  | (?P<newline>\n)
  | (?P<blank>[ \t\r\ufeff]+)
  | (?P<word>[^\s{}\[\],=:"\#]+)
""",
    re.VERBOSE | re.DOTALL,
)
_SCALARS = ("word", "string", "heredoc")


class _Token:
    """A piece of the text: its kind, its text, the line it starts on."""

    __slots__ = ("kind", "line", "text")

    def __init__(self, kind: str, text: str, line: int) -> None:
        self.kind = kind
        self.text = text
        self.line = line


class _Entry:
    """An attribute, a block, or comments on their own, with the comments above and behind it.

    `key` is the left side of an attribute; `value` the lines of the right side, or of a whole block.
    """

    __slots__ = ("above", "behind", "key", "line", "value")

    def __init__(self, line: int, above: list[str], key: str, value: list[str]) -> None:
        self.line = line
        self.above = above
        self.key = key
        self.value = value
        self.behind = ""


def format_hcl(text: str) -> str:
    """The formatted text. CommandError for text that is not HCL; its message names the line only."""
    lines = _Layout(_tokens(text)).body("")
    return "\n".join(lines) + "\n" if lines else ""


def _tokens(text: str) -> list[_Token]:
    """Everything but blanks, ending with an `end` token."""
    tokens: list[_Token] = []
    place, line = 0, 1
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise CommandError(f"Error formatting source: line {line}: a string that does not end")
        kind = "heredoc" if found["heredoc"] else found.lastgroup
        if kind != "blank":
            tokens.append(_Token(kind, found[0].rstrip("\r") if kind == "comment" else found[0], line))
        line += found[0].count("\n")
        place = found.end()
    tokens.append(_Token("end", "", line))
    return tokens


class _Layout:
    """Reads tokens, returns laid-out lines without indentation of their own level."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def body(self, until: str) -> list[str]:
        """The entries up to the closing brace, or to the end of the text."""
        entries: list[_Entry] = []
        above: list[_Token] = []
        while True:
            token = self._next()
            last = above[-1] if above else None
            if last and token.line > last.line + last.text.count("\n") + 1 and token.kind != "newline":
                entries.append(_Entry(above[0].line, [item.text for item in above], "", []))
                above = []
            if token.kind == "end" or token.text == until:
                if token.kind == "end" and until:
                    raise _wrong(token, f"a {until} is missing")
                if above:
                    entries.append(_Entry(above[0].line, [item.text for item in above], "", []))
                return _laid_out(entries, nested=bool(until))
            if token.kind == "comment":
                if entries and entries[-1].value and not above and self._same_line_before():
                    entries[-1].behind = f"{entries[-1].behind} {token.text}".strip()
                else:
                    above.append(_Token("comment", token.text.rstrip(), token.line))
            elif token.kind != "newline" and token.text != ",":
                self._at -= 1
                entries.append(self._entry([item.text for item in above]))
                above = []

    def _same_line_before(self) -> bool:
        """Whether the token just read follows another one on its line."""
        return self._at >= 2 and self._tokens[self._at - 2].kind != "newline"

    def _entry(self, above: list[str]) -> _Entry:
        keys: list[str] = []
        line = self._tokens[self._at].line
        while True:
            token = self._next()
            if token.kind in ("word", "string"):
                keys.append(token.text)
            elif token.text in ("=", ":") and keys:
                return _Entry(line, above, " ".join(keys), self._value())
            elif token.text == "{" and keys:
                return _Entry(line, above, "", self._braces(" ".join(keys) + " "))
            else:
                raise _wrong(token, "a name, then = or { is needed")

    def _braces(self, head: str) -> list[str]:
        inner = self.body("}")
        if not inner:
            return [head + "{}"]
        return [head + "{", *(_indented(inner)), "}"]

    def _value(self) -> list[str]:
        token = self._next()
        if token.text == "{":
            return self._braces("")
        if token.text == "[":
            return self._list(token)
        if token.kind in _SCALARS:
            return [token.text]
        raise _wrong(token, "a value is needed after =")

    def _list(self, opening: _Token) -> list[str]:
        """A list: on one line when it was written so, else one item a line."""
        items: list[list[str]] = []
        above: list[str] = []
        several = False
        while True:
            token = self._next()
            if token.kind == "newline":
                several = True
            elif token.text == "]":
                break
            elif token.kind == "comment":
                several = True
                if items and not above and self._same_line_before():
                    items[-1][-1] += " " + token.text.rstrip()
                else:
                    above.append(token.text.rstrip())
            elif token.text in ("[", "{") or token.kind in _SCALARS:
                self._at -= 1
                items.append([*above, *self._value()])
                items[-1][-1] += ","
                above = []
            elif token.text != ",":
                raise _wrong(opening, "the list that starts here is not a list of values")
        if not several and all(len(item) == 1 for item in items):
            return ["[" + " ".join(item[0] for item in items).rstrip(",") + "]"]
        lines: list[str] = []
        for item in items:
            lines += item
            if item[0].startswith(("#", "//", "/*")) and item is not items[-1]:
                lines.append("")
        return ["[", *_indented(lines + above), "]"]


def _laid_out(entries: list[_Entry], *, nested: bool) -> list[str]:
    """The lines of a body: runs of aligned attributes, an empty line between runs and other entries."""
    lines: list[str] = []
    index = 0
    free_comment = False
    while index < len(entries):
        run = _aligned_run(entries, index)
        after_comment = index > 0 and not (entries[index - 1].key or entries[index - 1].value)
        if lines and (after_comment or not (nested and free_comment and entries[index].key)):
            lines.append("")
        free_comment = free_comment or not (entries[index].key or entries[index].value)
        key_width = max(len(entry.key) for entry in run)
        texts = [
            [f"{entry.key:<{key_width}} = {entry.value[0]}", *entry.value[1:]] if entry.key else entry.value
            for entry in run
        ]
        comment_at = max(
            (len(text[-1]) for text, entry in zip(texts, run, strict=True) if entry.behind), default=0
        )
        for entry, text in zip(run, texts, strict=True):
            lines += entry.above
            behind = [f"{text[-1]:<{comment_at}} {entry.behind}"] if entry.behind else text[-1:]
            lines += [*text[:-1], *behind]
        index += len(run)
    return lines


def _aligned_run(entries: list[_Entry], start: int) -> list[_Entry]:
    """The entry, and the one-line attributes that follow it on neighbouring lines when it is one itself."""
    run = [entries[start]]
    for entry in entries[start + 1 :]:
        previous = run[-1]
        if not (
            previous.key
            and entry.key
            and len(previous.value) == len(entry.value) == 1
            and "\n" not in previous.value[0] + entry.value[0]
        ):
            break
        if entry.line != previous.line + 1 or len(previous.above) > 1 or entry.above:
            break
        run.append(entry)
    return run


def _indented(lines: list[str]) -> list[str]:
    return ["  " + line if line else "" for line in lines]


def _wrong(token: _Token, what: str) -> CommandError:
    return CommandError(f"Error formatting source: line {token.line}: {what}")

# SPDX-License-Identifier: EUPL-1.2
"""A formatter for policy files, on tokens: it never changes what the text means, only how it is laid out.

Layout as `bao policy fmt`: two blanks per level, `=` aligned in runs of neighbouring attributes, top-level
blocks separated by an empty line, comments kept.
"""

from __future__ import annotations

import re

from vaultctl.errors import CommandError

_TOKEN = re.compile(r"""
    (?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
  | (?P<heredoc><<-?(?P<tag>\w+)\n(?:.*?\n)??[ \t]*(?P=tag)(?=\n|\Z))
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<punct>[{}\[\],=:])
  | (?P<newline>\n)
  | (?P<blank>[ \t\r\ufeff]+)
  | (?P<word>[^\s{}\[\],=:"\#]+)
""", re.VERBOSE | re.DOTALL)


class _Line:
    """One laid-out line. `key` is an attribute's left side; `value` is the whole text otherwise."""

    __slots__ = ("comment", "depth", "gap", "key", "value")

    def __init__(self, depth: int, key: str, value: str, *, gap: bool, comment: str = "") -> None:
        self.depth = depth
        self.key = key
        self.value = value
        self.gap = gap
        self.comment = comment


def format_hcl(text: str) -> str:
    """The formatted text. CommandError for text that is not HCL; its message names the line only."""
    parser = _Layout(_tokens(text))
    parser.body(0, until="")
    return _render(parser.lines)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """(kind, text, line number) of everything but blanks."""
    tokens: list[tuple[str, str, int]] = []
    place, line = 0, 1
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise CommandError(f"Error formatting source: line {line}: a string that does not end")
        kind = "heredoc" if found["heredoc"] else found.lastgroup
        if kind != "blank":
            tokens.append((kind, found[0].rstrip("\r"), line))
        line += found[0].count("\n")
        place = found.end()
    tokens.append(("end", "", line))
    return tokens


class _Layout:
    """Reads tokens and collects lines."""

    def __init__(self, tokens: list[tuple[str, str, int]]) -> None:
        self._tokens = tokens
        self._at = 0
        self.lines: list[_Line] = []

    def body(self, depth: int, *, until: str) -> None:
        """Attributes, blocks and comments up to the closing brace, or to the end of the text."""
        newlines = 0
        first = True
        while True:
            kind, text, number = self._tokens[self._at]
            if kind == "newline":
                newlines += 1
                self._at += 1
            elif kind == "end" or text == until:
                if kind == "end" and until:
                    raise self._wrong(number, f"a {until} is missing")
                self._at += 1
                return
            elif kind == "comment":
                self._comment(depth, text, attached=newlines == 0 and not first, gap=newlines > 1 and not first)
                newlines, first = 0, False
            elif text == "," and not first:
                self._at += 1
            else:
                self._item(depth, gap=newlines > 1 and not first)
                newlines, first = 0, False

    def _comment(self, depth: int, text: str, *, attached: bool, gap: bool) -> None:
        self._at += 1
        if attached and self.lines and not text.startswith("/*") and self.lines[-1].depth == depth:
            self.lines[-1].comment = text.rstrip()
            return
        self.lines.append(_Line(depth, "", text.rstrip(), gap=gap))

    def _item(self, depth: int, *, gap: bool) -> None:
        keys: list[str] = []
        while True:
            kind, text, number = self._tokens[self._at]
            if kind in ("word", "string"):
                keys.append(text)
                self._at += 1
            elif text in ("=", ":") and keys:
                self._at += 1
                self.lines.append(_Line(depth, " ".join(keys), "", gap=gap))
                self._value(self.lines[-1])
                return
            elif text == "{" and keys:
                self._at += 1
                self._block(depth, " ".join(keys), gap=gap)
                return
            else:
                raise self._wrong(number, "a name, then = or { is needed")

    def _block(self, depth: int, head: str, *, gap: bool) -> None:
        opening = _Line(depth, "", head + " {", gap=gap)
        self.lines.append(opening)
        before = len(self.lines)
        self.body(depth + 1, until="}")
        if len(self.lines) == before:
            opening.value = head + " {}"
        else:
            self.lines.append(_Line(depth, "", "}", gap=False))

    def _value(self, line: _Line) -> None:
        kind, text, number = self._tokens[self._at]
        if text == "{":
            self._at += 1
            line.value = f"{line.key} = {{"
            line.key = ""
            before = len(self.lines)
            self.body(line.depth + 1, until="}")
            if len(self.lines) == before:
                line.value += "}"
            else:
                self.lines.append(_Line(line.depth, "", "}", gap=False))
        elif text == "[":
            line.value = self._list(line.depth)
        elif kind in ("word", "string", "heredoc"):
            self._at += 1
            line.value = text
        else:
            raise self._wrong(number, "a value is needed after =")

    def _list(self, depth: int) -> str:
        """A list: on one line when it was written so and has no comment, else one item a line."""
        items: list[str] = []
        several = False
        indent = "  " * (depth + 1)
        start = self._tokens[self._at][2]
        self._at += 1
        while True:
            kind, text, number = self._tokens[self._at]
            self._at += 1
            if kind == "newline":
                several = True
            elif text == "]":
                break
            elif kind == "comment":
                several = True
                same_line = bool(items) and self._tokens[self._at - 2][0] != "newline"
                items.append(("\0" if same_line else "") + text.rstrip())
            elif text == "[":
                self._at -= 1
                items.append(self._list(depth + 1) + ",")
            elif kind in ("word", "string", "heredoc"):
                items.append(text + ",")
            elif text != ",":
                raise self._wrong(number if kind != "end" else start, "the list is not a list of values")
        if not several:
            return "[" + " ".join(items).rstrip(",") + "]"
        lines: list[str] = []
        for item in items:
            if item.startswith("\0"):
                lines[-1] += " " + item[1:]
            else:
                lines.append(indent + item)
        return "\n".join(["[", *lines, "  " * depth + "]"])

    @staticmethod
    def _wrong(number: int, what: str) -> CommandError:
        return CommandError(f"Error formatting source: line {number}: {what}")


def _render(lines: list[_Line]) -> str:
    out: list[str] = []
    index = 0
    while index < len(lines):
        run = _run_of_attributes(lines, index)
        key_width = max((len(line.key) for line in run), default=0)
        bodies = [f"{line.key:<{key_width}} = {line.value}" for line in run]
        comment_at = max((len(body) for body, line in zip(bodies, run, strict=True) if line.comment), default=0)
        if not run:
            run, bodies, comment_at = [lines[index]], [lines[index].value], 0
        for line, text in zip(run, bodies, strict=True):
            if out and (line.gap or _separated(lines, index)):
                out.append("")
            padded = f"{text:<{comment_at}} {line.comment}" if line.comment else text
            out.append("  " * line.depth + padded)
            index += 1
    return "\n".join(out) + "\n" if out else ""


def _run_of_attributes(lines: list[_Line], start: int) -> list[_Line]:
    """Neighbouring one-line attributes whose `=` are aligned."""
    run: list[_Line] = []
    for line in lines[start:]:
        if not line.key or line.depth != lines[start].depth or (run and line.gap):
            break
        if "\n" in line.value:
            return run or [line]
        run.append(line)
    return run


def _separated(lines: list[_Line], index: int) -> bool:
    """Whether an empty line is put before line `index`: around top-level and nested blocks."""
    line, previous = lines[index], lines[index - 1]
    return previous.value == "}" and previous.depth == line.depth and line.value != "}"

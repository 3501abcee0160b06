# SPDX-License-Identifier: EUPL-1.2
"""A time as a picture: how many records of each outcome there are in each of its parts. Pure.

A part is a link to a narrower time. What the colours tell, the order tells too, and each part says in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

import msgspec

from nhi.picture.lineage import short_time
from nhi.picture.node import shown

OUTCOMES: Final = ("success", "denied", "failed")
"""The outcomes of records, from the bottom of a bar to its top."""
WIDTH: Final = 1180
HEIGHT: Final = 190
_LEFT: Final = 52
_TOP: Final = 18
_BOTTOM: Final = 34
_ROOM: Final = HEIGHT - _TOP - _BOTTOM
_LEAST: Final = 3
"""Pixels of the lowest bar: one record beside a million is seen."""
_TICKS: Final = 6


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the time: its beginning and its end in RFC 3339, and how many records it has by outcome."""

    begins: str
    ends: str
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many records there are of all outcomes."""
        return sum(self.counts.get(outcome, 0) for outcome in OUTCOMES)

    @property
    def words(self) -> str:
        """What the part says of itself."""
        said = [f"{self.counts[one]} {one}" for one in OUTCOMES if self.counts.get(one)]
        return f"{short_time(self.begins)} to {short_time(self.ends)}: {', '.join(said) or 'none'}"


def timeline(parts: Sequence[Part], name: str, link: Callable[[Part], str]) -> str:
    """Return the picture; `name` says what it shows. `link` gives the address of a narrower time, or nothing."""
    most = max((part.total for part in parts), default=0)
    wide = (WIDTH - _LEFT) / max(1, len(parts))
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return "".join(
        [
            f'<svg class="timeline" role="group" aria-label="{_text(name)}" {size}>',
            *_axes(parts, most, wide),
            *(
                _part(part, link(part), most, left=_LEFT + wide * number, wide=wide)
                for number, part in enumerate(parts)
                if part.total
            ),
            "</svg>",
        ]
    )


def _axes(parts: Sequence[Part], most: int, wide: float) -> Iterator[str]:
    """Yield the ground line, the largest number, and the times at some parts."""
    ground = _TOP + _ROOM
    yield f'<path class="axis" d="M{_LEFT} {_TOP}V{ground}H{WIDTH}"/>'
    yield f'<text x="{_LEFT - 8}" y="{_TOP + 4}" text-anchor="end">{most}</text>'
    yield f'<text x="{_LEFT - 8}" y="{ground + 4}" text-anchor="end">0</text>'
    for number in range(0, len(parts), max(1, -(-len(parts) // _TICKS))):
        x = _LEFT + wide * number
        yield f'<path class="axis" d="M{x:.1f} {ground}v5"/>'
        yield f'<text x="{x:.1f}" y="{ground + 20}">{_text(_tick(parts[number].begins))}</text>'


def _tick(time: str) -> str:
    """Return a time without its year, and without seconds where it has none."""
    return short_time(time)[5:].removesuffix(":00")


def _part(part: Part, href: str, most: int, *, left: float, wide: float) -> str:
    """Return the bar of a part: a link with the room above it, so that low bars are easily hit."""
    tag, attributes = ("a", f' href="{_text(href)}"') if href else ("g", "")
    words = _text(part.words)
    bars, ground = [], float(_TOP + _ROOM)
    for outcome in OUTCOMES:
        count = part.counts.get(outcome, 0)
        if count:
            height = max(_LEAST, count / most * (_ROOM - _LEAST * len(OUTCOMES)))
            ground -= height
            size = f'width="{max(1.0, wide - 3):.1f}" height="{height:.1f}"'
            bars.append(f'<rect class="{outcome}" x="{left + 1.5:.1f}" y="{ground:.1f}" {size}/>')
    room = f'<rect class="room" x="{left:.1f}" y="{_TOP - 8}" width="{wide:.1f}" height="{_ROOM + 8}"/>'
    return f'<{tag}{attributes} aria-label="{words}"><title>{words}</title>{room}{"".join(bars)}</{tag}>'


def _text(text: str) -> str:
    """Return a text as it stands in markup, without what does not print."""
    return escape(shown(text))

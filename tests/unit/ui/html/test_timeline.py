# SPDX-License-Identifier: EUPL-1.2
"""The picture of a time: bars that say in words what they are, links where there are records, no markup of others."""

import re
from xml.etree import ElementTree as ET

from vault.ui.html.timeline import HEIGHT, WIDTH, Part, timeline


def _part(hour: int, **counts: int) -> Part:
    return Part(begins=f"2026-11-27T{hour:02}:00:00Z", ends=f"2026-11-27T{hour + 1:02}:00:00Z", counts=counts)


def _parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 - what our own function drew


def test_each_part_with_records_is_a_link_that_says_what_it_has() -> None:
    parts = [_part(1), _part(2, success=20, denied=3), _part(3, failed=1)]
    drawn = timeline(parts, "Records", lambda part: f"/x?since={part.begins}&b=<")
    assert re.findall(r'<a href="([^"]*)" aria-label="([^"]*)">', drawn) == [
        (
            "/x?since=2026-11-27T02:00:00Z&amp;b=&lt;",
            "2026-11-27 02:00:00 to 2026-11-27 03:00:00: 20 success, 3 denied",
        ),
        ("/x?since=2026-11-27T03:00:00Z&amp;b=&lt;", "2026-11-27 03:00:00 to 2026-11-27 04:00:00: 1 failed"),
    ]
    assert drawn.count("<title>") == 2


def test_bars_stay_within_the_picture_and_one_record_is_seen_beside_a_million() -> None:
    parts = [_part(1, success=1_000_000, denied=1, failed=1), _part(2, denied=1)]
    root = _parsed(timeline(parts, "Records", lambda _: ""))
    bars = [one for one in root.iter("rect") if one.get("class") != "room"]
    assert len(bars) == 4
    for bar in bars:
        x, y, width, height = (float(bar.get(name, "")) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= WIDTH and 0 <= y <= y + height <= HEIGHT
        assert height >= 3
    assert not list(root.iter("a"))


def test_a_time_without_records_or_parts_is_drawn_all_the_same() -> None:
    for parts in ([], [_part(1)]):
        root = _parsed(timeline(parts, 'a "name" <b>', lambda _: "/x"))
        assert root.get("aria-label") == 'a "name" <b>'
        assert not list(root.iter("rect"))


def test_times_below_the_bars_have_seconds_where_they_need_them() -> None:
    fine = Part(begins="2026-11-27T02:00:30Z", ends="2026-11-27T02:00:31Z", counts={})
    for part, words in ((_part(2), "11-27 02:00"), (fine, "11-27 02:00:30")):
        assert f">{words}</text>" in timeline([part], "Records", lambda _: "")

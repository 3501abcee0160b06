# SPDX-License-Identifier: Apache-2.0
"""What is due to go, and how it is announced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from esa_conformance.binding.replies import Reply
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_LEAST: Final = timedelta(days=180)
_MOST: Final = 20
"""Routes that are asked."""


def _due_to_go(t: Trial) -> Iterator[Reply]:
    """What the routes answer that the server's OpenAPI calls deprecated, of those that read and need no name."""
    reply = t.admin.send("GET", "sys/internal/specs/openapi")
    found = reply.answer.json if reply.ok else None
    paths = found.get("paths") if isinstance(found, dict) else None
    for path, item in list((paths or {}).items()):
        read = item.get("get") if isinstance(item, dict) else None
        if isinstance(read, dict) and read.get("deprecated") is True and "{" not in path:
            yield t.admin.send("GET", str(path).strip("/"))


@TESTS.test("ESA-GEN-011", feature="deprecation", cls="read-only", needs=("admin",))
def deprecation_is_dated(t: Trial) -> None:
    """A route that is announced as due to go says since when, and goes 180 days later at the earliest."""
    answers = [reply.answer for _, reply in zip(range(_MOST), _due_to_go(t), strict=False)]
    t.served(
        any("deprecation" in answer.headers for answer in answers), "a route that is announced as due to go"
    )
    for answer in answers:
        since, until = answer.headers.get("deprecation"), answer.headers.get("sunset")
        t.must(since is not None, "each route that the OpenAPI calls deprecated says so when it is used")
        begun = str(since)
        t.must(begun.startswith("@") and begun[1:].isdigit(), "Deprecation is a date as RFC 9745 has it")
        if until is not None:
            try:
                ends = parsedate_to_datetime(until)
            except ValueError:
                t.must(False, "Sunset is a date as RFC 8594 has it")
                raise
            began = datetime.fromtimestamp(int(begun[1:]), UTC)
            t.must(ends - began >= _LEAST, "a route stays for 180 days")


@TESTS.test("ESA-GEN-011", feature="deprecation", cls="read-only", needs=("admin",))
def what_stays_is_not_announced(t: Trial) -> None:
    """What is not due to go is not announced."""
    t.served(
        any("deprecation" in reply.answer.headers for reply in _due_to_go(t)),
        "a route that is announced as due to go",
    )
    for reply in (t.admin.health(), t.admin.look_up_self()):
        t.must("deprecation" not in reply.answer.headers, "what is not due to go is not announced")
        t.must("sunset" not in reply.answer.headers, "what is not due to go has no end")

# SPDX-License-Identifier: EUPL-1.2
"""No regular expression of ours is slow on a text that it may see: each is driven with texts made from its own form."""

import gc
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pytest

from tests.growth import seconds
from tests.house.patterns import METHODS, Dynamic, Pattern, attacks, found

_LONG: Final = 1 << 13
"""Characters of a text that a pattern must be quick on: enough for a square to show."""
_MOST: Final = 0.5e-6
"""Seconds of processor time for each of them, and for each of the texts as much again as for a thousand."""
_SPARE: Final = 0.25e-3
_TRIES: Final = 8
_NO_DISTURBANCE: Final = 20
"""How many times too long nothing takes for what else the machine does."""

DYNAMIC: Final[Mapping[Dynamic, str]] = {
    Dynamic("vault/framework/hcl/lexer.py", "_heredoc"): r"(?m)^([^\S\n]*)EOT\r*$",
    Dynamic("vault/framework/route_table.py", "_compiled"): "",
}
"""Where a pattern is made at run time, and one like it: "" for those of routes, which are all driven."""

PATTERNS, _MADE = found()


class TooLong(Exception):
    """A text took so long that it is not waited for."""


@contextmanager
def _at_most(span: float) -> Iterator[None]:
    """End what takes more than `span` seconds of processor time; regular expressions let themselves be ended.

    Nothing is looked through for garbage meanwhile: among all that tests keep, that takes longer than any pattern.
    """

    def end(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, end)
    gc.disable()
    signal.setitimer(signal.ITIMER_PROF, span)
    try:
        yield
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _worked(pattern: re.Pattern[Any], method: str, text: Any) -> object:
    if method == "sub":
        return pattern.sub(text[:0], text)
    return list(pattern.finditer(text)) if method == "finditer" else getattr(pattern, method)(text)


def _slow(pattern: re.Pattern[Any], method: str, size: int) -> str:
    """Return the first text that takes too long, shortened; "" if none does."""
    for text in attacks(pattern, size):
        most = _SPARE + _MOST * len(text)
        work: Callable[[], object] = partial(_worked, pattern, method, text)
        least = float("inf")
        for _ in range(_TRIES):
            with _at_most(0.2):
                least = min(least, seconds(work))
            if least <= most or least > _NO_DISTURBANCE * most:
                break
        if least > most:
            return f"{method}: {text[:20]!r}… of {len(text)} takes {least * 1000:.1f} ms"
    return ""


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_a_pattern_is_quick_on_what_it_may_see(pattern: Pattern) -> None:
    found = [slow for method in sorted(pattern.methods) if (slow := _slow(pattern.compiled, method, _LONG))]
    assert found == []


def test_where_a_pattern_is_made_at_run_time_is_known() -> None:
    assert set(DYNAMIC) == _MADE
    assert [made for made in DYNAMIC.values() if _slow(re.compile(made), "search", _LONG)] == []


def test_the_pattern_of_a_route_is_quick() -> None:
    from tests.routes.driver import TARGETS

    made = sorted({target.route.pattern for target in TARGETS if "(" in target.route.pattern})
    assert len(made) > 100
    assert [(text, slow) for text in made if (slow := _slow(re.compile(text), "fullmatch", _LONG))] == []


@pytest.mark.parametrize(
    ("text", "method"),
    [
        (r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d)", "finditer"),
        (r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]|[0-9]{309,}', "finditer"),
        (r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", "search"),
        (r"(a+)+$", "match"),
        (r"(a|a)*b", "fullmatch"),
        (r"\s*,\s*;", "search"),
        (r"(?:\w+\s?)+:", "match"),
        (r"(.*)(.*)x", "fullmatch"),
        (r"\{\{(.*?)\}\}", "findall"),
    ],
)
def test_a_slow_pattern_is_found(text: str, method: str) -> None:
    assert method in METHODS
    assert _slow(re.compile(text, re.DOTALL), method, _LONG)

# SPDX-License-Identifier: EUPL-1.2
"""Until when the checks of a token let anything through, as far as their form says so."""

from __future__ import annotations

from typing import Final, cast

from nhi.biscuit.format.datalog import Block, Check, OpKind, TermKind
from nhi.biscuit.format.printer import LAST_SECOND
from vault.values.times import Millis, Seconds, seconds_to_millis

_LESS: Final = 0
_AT_MOST: Final = 2


def deadline_of(blocks: tuple[Block, ...]) -> Millis:
    """Return the earliest time (ms) after which some check fails for certain; 0 if none says so."""
    found = [end for block in blocks for check in block.checks if (end := deadline_of_check(check))]
    return min(found, default=Millis(0))


def deadline_of_check(check: Check) -> Millis:
    """Return when a check of the form `time($t), $t < DATE` fails from (ms); 0 for any other form, and for no end in sight."""
    if len(check.queries) != 1 or len(check.queries[0].body) != 1 or len(check.queries[0].expressions) != 1:
        return Millis(0)
    if check.queries[0].scopes:
        return Millis(0)
    asked, ops = check.queries[0].body[0], check.queries[0].expressions[0]
    if asked.name != "time" or len(ops) != 3 or ops[0].term is None or ops[1].term is None:
        return Millis(0)
    variable, date, operator = ops[0].term, ops[1].term, ops[2]
    if (
        check.kind
        or variable.kind is not TermKind.VARIABLE
        or asked.terms != (variable,)
        or date.kind is not TermKind.DATE
        or operator.kind is not OpKind.BINARY
        or operator.code not in {_LESS, _AT_MOST}
    ):
        return Millis(0)
    end = Seconds(cast("int", date.value) + (operator.code == _AT_MOST))
    return seconds_to_millis(end) if end <= LAST_SECOND else Millis(0)

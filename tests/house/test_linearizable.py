# SPDX-License-Identifier: EUPL-1.2
"""The checker of counters accepts what can have happened, and refuses each kind of violation that is planted."""

import random

import pytest

from tests.linearizable import NEVER, Outcome, Seen, linearizable


def _happened(dice: random.Random, length: int) -> list[Seen]:
    """What clients see of a real counter: each step takes effect at a moment of its own, between its ends."""
    history, value = [], 0
    for moment in range(1, length + 1):
        began, ended = moment - dice.random() * 4, moment + dice.random() * 4
        outcome: Outcome = dice.choice(["read", "raised", "raised", "refused", "unknown"])
        expected = value if outcome in {"read", "raised"} else dice.randint(0, value + 2)
        if outcome == "refused" and expected == value:
            expected += 1
        history.append(Seen(began, ended, outcome, expected))
        if outcome == "raised" or (outcome == "unknown" and expected == value):
            value += 1
    dice.shuffle(history)
    return history


@pytest.mark.parametrize("seed", range(40))
def test_what_has_happened_is_accepted(seed: int) -> None:
    assert linearizable(_happened(random.Random(seed), 60))


@pytest.mark.parametrize(
    ("violation", "history"),
    [
        ("a stale read", [Seen(0, 1, "raised", 0), Seen(2, 3, "read", 0)]),
        ("a read of what is not there yet", [Seen(0, 1, "read", 1), Seen(2, 3, "raised", 0)]),
        ("two who raised it from one value", [Seen(0, 5, "raised", 0), Seen(0, 5, "raised", 0)]),
        ("one that was acknowledged and lost", [Seen(0, 1, "raised", 0), Seen(2, 3, "raised", 0)]),
        ("a value that nobody wrote", [Seen(0, 1, "raised", 0), Seen(2, 3, "read", 2)]),
        ("a refusal where it fitted all the time", [Seen(0, 1, "read", 0), Seen(2, 3, "refused", 0)]),
        ("a read that goes back", [Seen(0, 9, "raised", 0), Seen(1, 2, "read", 1), Seen(3, 4, "read", 0)]),
        ("one that was not done, and shows", [Seen(0, 1, "refused", 0), Seen(2, 3, "read", 1)]),
        ("an effect before its cause", [Seen(0, 1, "read", 1), Seen(2, NEVER, "unknown", 0)]),
    ],
)  # fmt: skip
def test_a_violation_that_is_planted_is_refused(violation: str, history: list[Seen]) -> None:
    assert not linearizable(history), violation


def test_what_nobody_heard_of_may_have_happened_or_not() -> None:
    unknown = Seen(0, 1, "unknown", 0)
    assert linearizable([unknown, Seen(2, 3, "read", 0), Seen(4, 5, "read", 1)])
    assert linearizable([unknown, Seen(2, 3, "read", 0)])
    assert not linearizable([unknown, Seen(2, 3, "read", 1), Seen(4, 5, "read", 0)])


@pytest.mark.parametrize("seed", range(20))
def test_one_stale_read_among_many_steps_is_found(seed: int) -> None:
    dice = random.Random(seed)
    history = _happened(dice, 60)
    top = max(seen.value for seen in history if seen.outcome == "raised")
    history.append(Seen(100, 101, "read", top))
    assert not linearizable(history)

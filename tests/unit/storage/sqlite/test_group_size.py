# SPDX-License-Identifier: EUPL-1.2
"""How many writers a commit should have."""

from vault.storage.sqlite.group_size import GroupSize

WRITE = 0.001


class Course:
    """Commits, one after the other, of writes that take a millisecond each."""

    def __init__(self) -> None:
        self.now = 100.0
        self.size = GroupSize(lambda: self.now)

    def commit(self, lasts: float, *, size: int = 16, others: int = 0, fails: bool = False) -> int:
        """Return how many the next one should have. One that `fails` does so before it begins."""
        self.now += WRITE * size
        if not fails:
            self.size.begin()
        self.now += lasts
        return self.size.end(size, others)


def test_all_come_into_a_commit_that_is_short() -> None:
    course = Course()
    assert course.commit(5 * WRITE) == 16
    assert course.commit(5 * WRITE, size=7, others=4) == 11


def test_half_come_into_a_commit_that_is_long() -> None:
    course = Course()
    assert course.commit(100 * WRITE) == 8
    assert course.commit(100 * WRITE, size=8, others=7) == 8


def test_nothing_is_known_before_a_commit_was_alone() -> None:
    course = Course()
    assert course.commit(WRITE, size=8, others=8) == 8
    assert course.commit(WRITE) == 16


def test_what_waited_for_the_processor_is_not_measured() -> None:
    course = Course()
    course.commit(5 * WRITE)
    assert [course.commit(1000 * WRITE, size=8, others=8) for _ in range(9)] == [16] * 9


def test_halves_try_one_commit_together_once_in_a_while() -> None:
    course = Course()
    course.commit(100 * WRITE)
    tries = [course.commit(100 * WRITE, size=8, others=8) for _ in range(32)]
    assert [number for number, wanted in enumerate(tries) if wanted == 16] == [14, 30]


def test_one_commit_that_was_long_says_little() -> None:
    course = Course()
    course.commit(5 * WRITE)
    assert course.commit(10_000 * WRITE) == 16


def test_a_disk_that_became_slow_or_fast_is_followed() -> None:
    course = Course()
    course.commit(5 * WRITE)
    assert [course.commit(500 * WRITE) for _ in range(15)][-2:] == [8, 16]  # the last one is a try
    assert [course.commit(WRITE) for _ in range(40)][-1] == 16


def test_a_commit_that_fails_before_it_begins_is_not_measured() -> None:
    course = Course()
    course.commit(5 * WRITE)
    for _ in range(9):
        course.commit(1000 * WRITE, fails=True)
    assert course.commit(5 * WRITE) == 16

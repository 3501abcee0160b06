# SPDX-License-Identifier: Apache-2.0
"""What ends a test or a run, each with the exit code that it means."""

from __future__ import annotations

from typing import ClassVar

EXIT_HOLDS, EXIT_DOES_NOT, EXIT_USAGE, EXIT_ERROR, EXIT_SAFETY, EXIT_LEFT, EXIT_PARTIAL = range(7)


class ConformanceError(Exception):
    """Anything that the suite ends with by its own decision; the message holds no secret."""

    code: ClassVar[int] = EXIT_ERROR


class UsageError(ConformanceError):
    """The command line, the manifest or a report that was given is wrong."""

    code = EXIT_USAGE


class TooDeep(ConformanceError):
    """Something from outside is nested deeper than the suite reads."""

    def __init__(self) -> None:
        super().__init__("what was answered or given is nested too deep to be read")


class SafetyStop(ConformanceError):
    """The run would touch what it must not: another server, production, a writing verb in read-only mode."""

    code = EXIT_SAFETY


class Interrupted(SafetyStop):
    """Whoever runs the suite has ended it by a signal."""


class NoAnswer(ConformanceError):
    """The server could not be reached or did not answer in time."""


class TimedOut(NoAnswer):
    """The deadline of one request passed."""


class UnknownOutcome(NoAnswer):
    """The connection ended after a request was sent: whether it was done is not known."""


class Missed(Exception):
    """A MUST that the server misses."""


class Unsupported(Exception):
    """The server validly refuses a feature."""


class PreconditionFailed(Exception):
    """What a test needs of another requirement does not hold; names it."""


def fault_of_suite(error: Exception) -> str:
    """An error that nothing foresaw, by its kind and place: its own message may hold what was sent."""
    return f"the suite is wrong: {type(error).__name__} in {_place(error)}"


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else "?"

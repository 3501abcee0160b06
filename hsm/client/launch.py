# SPDX-License-Identifier: EUPL-1.2
"""Starting an agent: what it inherits, and how it gets the PIN."""

from __future__ import annotations

import builtins
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from hsm.operations import AgentConfig
from hsm.pin import Pin

PROGRAM: Final = (sys.executable, "-P", "-m", "hsm.agent")

_MOST_WORDS: Final = 1 << 16
_UNINSTALLED: Final = "ModuleNotFoundError: No module named 'pkcs11'"
_WORDS: Final[Mapping[str, str]] = {
    **{
        name: name
        for name, kind in vars(builtins).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    },
    _UNINSTALLED: "python-pkcs11 is not installed: in a checkout, pip install '.[hsm]'",
}
"""All that a message repeats of what a process said: names of Python's own exceptions, and what a missing extra means."""
_OURS: Final = ("BAO_", "VAULT_", "COFFRE_")
"""What the server's own variables begin with: tokens, PINs, passwords. No module needs any."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How to start an agent."""

    config: AgentConfig
    pin: Callable[[], Pin]
    """Called when the process runs, for the moment of handing it over."""
    hidden_variables: tuple[str, ...] = ()
    environment: Mapping[str, str]
    program: Sequence[str] = PROGRAM
    """What to run; the numbers of the two descriptors are appended."""
    opening_seconds: float
    """How long loading the module and logging in may take."""


@contextlib.contextmanager
def start(launch: Launch, channel: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process with the descriptor `channel`; on leaving, hand over the PIN.

    It goes through a pipe: the arguments and the environment of a process can be read from outside. What kept the
    process from loading its program is told by `last_words`; from then on what it prints goes nowhere (`hsm.agent`).
    Raises `OSError` when there is no such program, and what `launch.pin` raises.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        yield subprocess.Popen(
            [*launch.program, str(channel), str(reading)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=without_secrets(launch.environment, launch.hidden_variables),
            pass_fds=(channel, reading),
            start_new_session=True,
        )
        if launch.config.login:
            launch.pin().hand_over(writing)
    finally:
        os.close(reading)
        os.close(writing)


def last_words(child: subprocess.Popen[bytes]) -> str:
    """Return which of Python's exceptions ended a process that has ended, or nothing.

    It may have read the PIN, and what is returned becomes part of errors that anybody may see: not one character of
    what the process wrote is repeated, but words that are known beforehand.
    """
    assert child.stderr is not None
    os.set_blocking(child.stderr.fileno(), False)
    lines = (child.stderr.read(_MOST_WORDS) or b"").decode("utf-8", "replace").split("\n")
    line = next((line for line in reversed(lines) if line.strip()), "")
    return _WORDS.get(line) or _WORDS.get(line.partition(":")[0], "")


def without_secrets(environment: Mapping[str, str], hidden: Collection[str] = ()) -> dict[str, str]:
    """Return `environment` for a process with a module: without our own variables and those that are `hidden`."""
    kept = {
        name: value
        for name, value in environment.items()
        if name not in hidden and not name.startswith(_OURS)
    }
    kept["PYTHONPATH"] = str(Path(__file__).parents[2])
    return kept

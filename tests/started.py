# SPDX-License-Identifier: EUPL-1.2
"""Servers that the tests of a session share: each is started when it is first asked for, and ends with the session."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest
from pytest_socket import enable_socket

T = TypeVar("T")


def started_once(
    start: Callable[[str, Path], AbstractContextManager[T]], folders: pytest.TempPathFactory
) -> Generator[Callable[[str], T]]:
    """Give, for a session's fixture, what returns the server of a kind, which `start` starts in a folder of its own."""
    with ExitStack() as stack:

        @cache
        def started(kind: str) -> T:
            enable_socket()
            return stack.enter_context(start(kind, folders.mktemp(kind)))

        yield started

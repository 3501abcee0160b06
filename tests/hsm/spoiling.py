# SPDX-License-Identifier: EUPL-1.2
"""Spoils single functions of a module in this process, for the length of a `with` block."""

import contextlib
import ctypes
from collections.abc import Callable, Iterator

from hsm.agent.session.module import Module
from tests.hsm.faults import FUNCTIONS

_ENTRIES = {name: (index, count) for index, (name, count) in enumerate(FUNCTIONS)}

Spoiler = Callable[..., int]
"""Takes the real function and its arguments, and gives the answer."""


def answer(code: int, times: int = 1_000_000, after: int = 0) -> Spoiler:
    """Answer with `code`, so many times, after so many calls that work."""
    calls = [0]

    def spoil(real: Callable[..., int], *arguments: int) -> int:
        calls[0] += 1
        return code if after < calls[0] <= after + times else real(*arguments)

    return spoil


@contextlib.contextmanager
def spoiled(module: Module, **functions: Spoiler) -> Iterator[None]:
    """Replace entries of the module's function list, by the functions' names."""
    table = ctypes.cast(module._functions, ctypes.c_void_p).value
    assert table is not None
    restored, kept = [], []
    for name, spoil in functions.items():
        index, count = _ENTRIES[name]
        entry = ctypes.c_void_p.from_address(table + 8 + 8 * index)
        shape = ctypes.CFUNCTYPE(ctypes.c_ulong, *[ctypes.c_void_p] * count)
        assert entry.value is not None
        ours = shape(_bound(spoil, shape(entry.value)))
        kept.append(ours)
        restored.append((entry, entry.value))
        entry.value = ctypes.cast(ours, ctypes.c_void_p).value
    try:
        yield
    finally:
        for entry, value in restored:
            entry.value = value


def _bound(spoil: Spoiler, real: Callable[..., int]) -> Callable[..., int]:
    return lambda *arguments: spoil(real, *arguments)

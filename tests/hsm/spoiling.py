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


def chooses(nonce: bytes, *, hides: bool = False) -> Spoiler:
    """Have `C_EncryptInit` use this nonce of AES-GCM. It stands where ours stood then, unless it `hides` it."""

    def choose(real: Callable[..., int], *arguments: int) -> int:
        mechanism = (ctypes.c_ulong * 3).from_address(arguments[1])
        parameters = (ctypes.c_ulong * 2).from_address(mechanism[1])
        given = ctypes.string_at(parameters[0], len(nonce))
        ctypes.memmove(parameters[0], nonce, len(nonce))
        code = real(*arguments)
        if hides:
            ctypes.memmove(parameters[0], given, len(nonce))
        return code

    return choose


def appends(nonce: bytes) -> Spoiler:
    """Have `C_Encrypt` write this behind what it makes."""

    def append(real: Callable[..., int], *arguments: int) -> int:
        code = real(*arguments)
        length = ctypes.c_ulong.from_address(arguments[4])
        if code == 0 and arguments[3]:
            ctypes.memmove(arguments[3] + length.value, nonce, len(nonce))
        length.value += len(nonce)
        return code

    return append


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

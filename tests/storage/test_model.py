# SPDX-License-Identifier: EUPL-1.2
"""Whatever is done to a storage, it answers as a dictionary would."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.stores import Store, everything
from vault.storage.protocol import LONG, ReadTx, Storage, Tx

SEGMENT = st.text(alphabet="ab-/0é\U0001f511\1", max_size=3)
PATH = st.builds(lambda head, tail: f"{head}/{tail}" if tail else head or "a", SEGMENT, SEGMENT)
PREFIX = st.one_of(st.just(""), st.builds(lambda segment: f"{segment}/", SEGMENT))
STEP = st.one_of(
    st.tuples(st.just("put"), PATH, st.one_of(st.binary(max_size=4), st.just(bytes(LONG + 1)))),
    st.tuples(st.just("delete"), PATH, st.just(b"")),
    st.tuples(st.just("delete_prefix"), PREFIX, st.just(b"")),
    st.tuples(st.just("delete_some"), PREFIX, st.binary(max_size=4)),
)
Step = tuple[str, str, bytes]


class Undo(Exception):
    """Asks for a rollback."""


def names(model: dict[str, bytes], prefix: str, after: str, limit: int) -> Sequence[str]:
    """Say what `list` has to return, the slow way."""
    below = [path[len(prefix) :] for path in model if path.startswith(prefix) and path != prefix]
    found = {f"{rest.split('/')[0]}/" if "/" in rest else rest for rest in below}
    return sorted((name for name in found if name > after), key=str.encode)[: limit or None]


def paths(model: dict[str, bytes], prefix: str, after: str, limit: int) -> Sequence[str]:
    """Say what `scan` has to return, the slow way."""
    below = [path[len(prefix) :] for path in model if path.startswith(prefix) and path != prefix]
    return sorted((path for path in below if path > after), key=str.encode)[: limit or None]


async def do(tx: Tx, model: dict[str, bytes], step: Step) -> None:
    """Do one step to both."""
    verb, path, value = step
    if verb == "put":
        await tx.put(path, value)
        model[path] = value
    elif verb == "delete":
        await tx.delete(path)
        model.pop(path, None)
    else:
        doomed = [path + name for name in paths(model, path, "", 0)]
        if verb == "delete_some":
            limit = len(value) + 1
            left = doomed[limit:]
            doomed = doomed[:limit]
            assert await tx.delete_some(path, limit) == (doomed[-1][len(path) :] if left else "")
        else:
            assert await tx.delete_prefix(path) == len(doomed)
        for known in doomed:
            del model[known]


async def compare(reader: ReadTx, model: dict[str, bytes], look: tuple[str, str, int]) -> None:
    """Compare what is read."""
    prefix, after, limit = look
    assert await reader.list(prefix, after=after, limit=limit) == names(model, *look)
    assert await reader.scan(prefix, after=after, limit=limit) == paths(model, *look)
    for path, value in model.items():
        assert await reader.get(path) == value
        assert await reader.has(path)
    assert not await reader.has("nowhere")


def play(store: Store, transactions: Sequence[tuple[bool, list[Step]]], look: tuple[str, str, int]) -> None:
    """Do all that to a storage and to a dictionary, and compare what they answer."""

    async def story(storage: Storage) -> None:
        model: dict[str, bytes] = {}
        for keep, steps in transactions:
            inside = dict(model)
            with suppress(Undo):
                async with storage.write() as tx:
                    for step in steps:
                        await do(tx, inside, step)
                    await compare(tx, inside, look)
                    if not keep:
                        raise Undo
                model = inside
            await compare(storage.reader(), model, look)
        assert await everything(storage) == model

    store.play(story)


_QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
anything = given(
    transactions=st.lists(st.tuples(st.booleans(), st.lists(STEP, max_size=8)), max_size=5),
    look=st.tuples(PREFIX, SEGMENT, st.integers(0, 4)),
)


@settings(max_examples=60, suppress_health_check=_QUIET)
@anything
def test_a_storage_answers_as_a_dictionary_would(
    store: Store, transactions: list[tuple[bool, list[Step]]], look: tuple[str, str, int]
) -> None:
    play(store, transactions, look)


@pytest.mark.soak
@settings(max_examples=1000, suppress_health_check=_QUIET)
@anything
def test_a_storage_answers_as_a_dictionary_would_at_length(
    store: Store, transactions: list[tuple[bool, list[Step]]], look: tuple[str, str, int]
) -> None:
    play(store, transactions, look)

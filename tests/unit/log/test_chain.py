# SPDX-License-Identifier: EUPL-1.2
"""The chain: gapless numbers, hashes of the line before, each tenant's own part, and nothing of what was not written."""

import hashlib
import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.log.folders import NOON, Ticks, draft
from vault.log.chain import START, Chain, ChainState
from vault.log.format.tree import begin_leaf
from vault.values.times import Nanos

EMPTY = ChainState()


def _leaf(line: bytes) -> str:
    return b64encode(hashlib.sha256(b"\0" + line.removesuffix(b"\n")).digest()).decode()


def _chain(state: ChainState = EMPTY) -> Chain:
    return Chain("n-0-1", state, Ticks())


def _parsed(lines: list[bytes]) -> list[Any]:
    return [json.loads(line) for line in lines]


def test_each_record_names_the_hash_of_the_one_before_and_a_number_without_gap() -> None:
    chain = _chain()
    lines = [chain.append(draft()) for _ in range(5)]
    found = _parsed(lines)
    assert [record["seq"] for record in found] == [0, 1, 2, 3, 4]
    assert [record["prev_hash"] for record in found] == [START.decode(), *map(_leaf, lines[:4])]
    assert {record["log"] for record in found} == {"n-0-1"}


def test_a_leaf_that_is_begun_already_is_that_of_the_whole_record() -> None:
    chain, plain = _chain(), draft()
    frame = msgspec.structs.replace(plain.frame, begun=begin_leaf(plain.frame.opening))
    lines = [chain.append(msgspec.structs.replace(plain, frame=frame)) for _ in range(3)]
    assert [record["prev_hash"] for record in _parsed(lines)[1:]] == [*map(_leaf, lines[:2])]
    other = _chain()
    assert [other.append(plain) for _ in range(3)] == lines


def test_a_line_is_in_the_form_of_rfc_8785() -> None:
    line = _chain().append(draft())
    record = json.loads(line)
    assert (
        line == json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    )


def test_each_tenant_has_a_chain_of_its_own_in_the_log() -> None:
    chain = _chain()
    lines = [chain.append(draft(tenant=tenant)) for tenant in ("root", "a", "root", "a", "b")]
    found = _parsed(lines)
    assert [(record["tenant"], record["tenant_seq"]) for record in found] == [
        ("root", 0), ("a", 0), ("root", 1), ("a", 1), ("b", 0),
    ]  # fmt: skip
    none = START.decode()
    assert [record["tenant_prev_hash"] for record in found] == [
        none,
        none,
        _leaf(lines[0]),
        _leaf(lines[1]),
        none,
    ]


def _time_of(line: bytes) -> Any:
    return json.loads(line)["observed_timestamp"]


def test_log_008_append_times_never_go_back() -> None:
    times = iter([NOON + 5, NOON + 3, NOON + 6])
    chain = Chain("n-0-1", ChainState(), lambda: Nanos(next(times)))
    found = []
    for _ in range(3):
        found.append(_time_of(chain.append(draft())))
        chain.wrote(1)
    assert found == sorted(found)
    assert found[0] == found[1] != found[2]


def test_records_that_are_written_together_have_one_time() -> None:
    chain = _chain()
    first, second = _time_of(chain.append(draft())), _time_of(chain.append(draft()))
    chain.wrote(2)
    assert first == second < _time_of(chain.append(draft()))
    chain.take_back()
    assert second < _time_of(chain.append(draft()))


@pytest.mark.parametrize("taken", [slice(1), slice(1, 2), slice(2), slice(0, 3, 2)])
def test_lines_are_counted_that_come_first_and_whole(taken: slice) -> None:
    chain = _chain()
    lines = [chain.append(draft(event="e" * length)) for length in (1, 2, 3)]
    some = lines[taken]
    assert chain.count_in(b"".join(some)) == (len(some) if some == lines[: len(some)] else 0)
    assert chain.count_in(b"".join(some)[:-1]) == 0


@given(st.lists(st.sampled_from(["root", "a", "b"]), max_size=20), st.integers(0, 20))
def test_what_was_not_written_is_as_if_it_had_never_been(tenants: list[str], count: int) -> None:
    count = min(count, len(tenants))
    one, other = _chain(), _chain()
    for tenant in tenants:
        one.append(draft(tenant=tenant))
    one.wrote(count)
    one.take_back()
    for tenant in tenants[:count]:
        other.append(draft(tenant=tenant))
    other.wrote(count)
    assert one.root() == other.root()
    assert one.seq == one.written == count
    for tenant in ("root", "a", "b"):
        first, second = (
            json.loads(one.append(draft(tenant=tenant))),
            json.loads(other.append(draft(tenant=tenant))),
        )
        for times in (first, second):
            del times["observed_timestamp"]
        assert {**first, "prev_hash": "", "tenant_prev_hash": ""} == {
            **second,
            "prev_hash": "",
            "tenant_prev_hash": "",
        }


@given(st.lists(st.sampled_from(["root", "a", "b"]), max_size=20), st.integers(0, 20))
def test_the_stored_state_is_that_of_the_file_while_records_wait(tenants: list[str], count: int) -> None:
    count = min(count, len(tenants))
    chain = _chain()
    lines = [chain.append(draft(tenant=tenant)) for tenant in tenants]
    chain.wrote(count)
    state = msgspec.json.decode(b"".join(chain.position().encode()), type=ChainState)
    again = Chain("n-0-1", state, Ticks())
    assert (again.seq, again.written, again.root()) == (count, count, chain.root())
    following = [again.append(draft(tenant=tenant)) for tenant in tenants[count:]]
    strip = "observed_timestamp", "prev_hash", "tenant_prev_hash"
    for line, other in zip(lines[count:], following, strict=True):
        first, second = json.loads(line), json.loads(other)
        assert {k: v for k, v in first.items() if k not in strip} == {
            k: v for k, v in second.items() if k not in strip
        }
    if count < len(tenants):
        assert json.loads(lines[count])["prev_hash"] == json.loads(following[0])["prev_hash"]


def test_the_heads_of_many_tenants_are_encoded_in_pieces() -> None:
    chain = _chain()
    for number in range(1201):
        chain.append(draft(tenant=f"t{number % 1100}"))
    chain.wrote(1201)
    pieces = list(chain.position().encode())
    assert max(map(len, pieces)) < 64 * 1024
    state = msgspec.json.decode(b"".join(pieces), type=ChainState)
    assert len(state.tenants) == 1100
    assert (state.tenants["t100"][0], state.tenants["t1099"][0]) == (2, 1)
    assert (state.seq, state.last) == (1201, chain.last)

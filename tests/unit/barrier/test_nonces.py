# SPDX-License-Identifier: EUPL-1.2
"""Nonces: one for each value, ever, in whatever thread or process."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from vault.barrier.nonces import Nonces


def test_no_two_are_the_same_in_any_thread() -> None:
    nonces = Nonces(os.urandom)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: [nonces(12) for _ in range(4000)], range(8)))
    assert len({nonce for of_thread in taken for nonce in of_thread}) == 32_000
    assert {len(nonce) for of_thread in taken for nonce in of_thread} == {12}


_FORK = """
import os
from vault.barrier.nonces import Nonces
nonces = Nonces(os.urandom)
nonces(12)
child = os.fork()
drawn = b"".join(nonces(12) for _ in range(100)).hex()
if child:
    assert os.waitpid(child, 0)[1] == 0
print(drawn, flush=True)
"""


def test_a_forked_process_draws_its_own() -> None:
    told = subprocess.run([sys.executable, "-c", _FORK], check=True, capture_output=True, text=True)
    of_processes = [bytes.fromhex(line) for line in told.stdout.split()]
    assert [len(drawn) for drawn in of_processes] == [1200, 1200]
    assert len({drawn[at : at + 12] for drawn in of_processes for at in range(0, 1200, 12)}) == 200


def test_the_system_is_asked_for_many_at_a_time() -> None:
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    nonces = Nonces(random)
    assert len({nonces(12) for _ in range(600)}) == 600
    assert len(asked) == 3

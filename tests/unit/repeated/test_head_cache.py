# SPDX-License-Identifier: EUPL-1.2
"""What is kept of a request whose every byte came before."""

from types import SimpleNamespace
from typing import Any

from tests.calls import fill_call
from vault.framework.call import Call
from vault.framework.secret import Secret
from vault.repeated.head_cache import CachedHead


def test_an_attempt_that_starts_over_finds_the_body_that_came() -> None:
    first, again = Call(), Call()
    fill_call(first, method="POST", body=b'{"accessor":"x"}')
    plan: Any = SimpleNamespace(identity=SimpleNamespace(token=Secret("t")), fill=id)
    CachedHead(plan, first).fill(again, ("127.0.0.1", 1), None)
    assert again.head is first.head and again.body == first.body

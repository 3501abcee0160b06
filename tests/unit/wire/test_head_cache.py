# SPDX-License-Identifier: EUPL-1.2
"""What is kept of a request whose every byte came before."""

from types import SimpleNamespace
from typing import Any

from vault.framework.call import Call
from vault.framework.limits import USUAL_LIMITS
from vault.framework.secret import Secret
from vault.wire.head_cache import CachedHead


def test_an_attempt_that_starts_over_finds_the_body_that_came() -> None:
    first, again = Call(), Call()
    first.method, first.headers, first.accept, first.content_type = "POST", [], b"", b""
    first.body, first.limits = b'{"accessor":"x"}', USUAL_LIMITS
    plan: Any = SimpleNamespace(identity=SimpleNamespace(token=Secret("t")), fill=id)
    CachedHead(plan, first).fill(again, ("127.0.0.1", 1))
    assert (again.method, again.body, again.limits) == ("POST", first.body, USUAL_LIMITS)

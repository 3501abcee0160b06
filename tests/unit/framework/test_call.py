# SPDX-License-Identifier: EUPL-1.2
"""What travels through the pipeline shows nothing of what it carries."""

from __future__ import annotations

import pytest

from vault.framework.call import Call, Destination, Identity
from vault.framework.reply import Auth, Reply, WrapInfo
from vault.framework.request.head import Head, Proofs
from vault.framework.request.operation import Operation
from vault.framework.secret import Secret
from vault.repeated.plan import Plan
from vault.values.ids import NO_TOKEN_KEY, TokenAccessor
from vault.values.times import Millis, Seconds

CANARY = "s.k4n4ry"
AUTH = Auth(client_token=CANARY, accessor=TokenAccessor(""), policies=None)
WRAPPED = WrapInfo(
    token=CANARY, accessor=TokenAccessor(""), ttl=Seconds(1), creation_time="", creation_path="kv/a"
)


@pytest.mark.parametrize(
    "carrier",
    [
        AUTH,
        WRAPPED,
        Head(method="GET", headers=[(b"x-vault-token", CANARY.encode())], echo=CANARY.encode()),
        Proofs(basic=Secret(CANARY), factors=[CANARY], dpop=CANARY.encode(), target=CANARY),
        Reply(data={"value": CANARY}, auth=AUTH, wrap_info=WRAPPED, raw=CANARY.encode()),
        Plan(
            None,
            Millis(0),
            Destination(),
            None,  # type: ignore[arg-type]  # nothing here asks for the route
            Identity(Secret(CANARY), NO_TOKEN_KEY, TokenAccessor(""), ()),
            None,
            {"token": CANARY},  # type: ignore[arg-type]  # nor for parameters of its type
            Operation.UPDATE,
            {"token": CANARY},
        ),
    ],
    ids=lambda carrier: type(carrier).__name__,
)
def test_no_carrier_of_a_secret_shows_it(carrier: object) -> None:
    assert CANARY not in f"{carrier!r} {carrier}"


def test_a_call_shows_its_id_and_its_verb() -> None:
    call = Call()
    call.id, call.token = "id", Secret(CANARY)
    call.head = Head(method="GET", headers=[(b"x-vault-token", CANARY.encode())])
    assert repr(call) == "<Call id GET>"

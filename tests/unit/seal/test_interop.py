# SPDX-License-Identifier: EUPL-1.2
"""Shares against the real OpenBao, so that the vectors of today stay true of the next release."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.servers import OpenBaoServer
from tests.conformance.wire import send
from tests.unit.seal.keys import Holder
from vault.seal.shares.shamir import combine, interpolate

pytestmark = pytest.mark.loopback


@pytest.fixture
def openbao() -> Iterator[OpenBaoServer]:
    server = OpenBaoServer()
    yield server
    server.stop()


def _post(server: OpenBaoServer, name: str, body: dict[str, Any]) -> Any:
    answer = send(server.port, "POST", f"/v1/sys/{name}", {}, json.dumps(body).encode())
    assert answer.status == 200
    return json.loads(answer.body)


def test_openbao_is_unsealed_by_further_points_of_its_own_polynomial(openbao: OpenBaoServer) -> None:
    keys = _post(openbao, "init", {"secret_shares": 5, "secret_threshold": 3})["keys"]
    shares = [bytes.fromhex(key) for key in keys]
    used = {share[-1] for share in shares}
    fresh = [x for x in range(1, 256) if x not in used][:3]
    made = [interpolate(shares[:3], x) + bytes([x]) for x in fresh]
    assert combine(made) == combine(shares[2:])
    assert [_post(openbao, "unseal", {"key": m.hex()})["sealed"] for m in made] == [True, True, False]


def test_openbao_encrypts_the_same_texts_to_the_same_keys(openbao: OpenBaoServer) -> None:
    holders = [Holder("one"), Holder("two")]
    answer = _post(
        openbao,
        "init",
        {
            "secret_shares": 2,
            "secret_threshold": 2,
            "pgp_keys": [holder.text for holder in holders],
            "root_token_pgp_key": holders[1].text,
        },
    )
    shares = [h.read(bytes.fromhex(key)) for h, key in zip(holders, answer["keys"], strict=True)]
    assert [len(bytes.fromhex(share)) for share in shares] == [33, 33]
    assert holders[1].read(base64.b64decode(answer["root_token"])).startswith("s.")
    assert [_post(openbao, "unseal", {"key": share})["sealed"] for share in shares] == [True, False]

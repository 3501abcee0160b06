# SPDX-License-Identifier: EUPL-1.2
"""Samples that are played end as they say, and what does not is named."""

import json
from pathlib import Path

from nhi.biscuit.offline.keys import public_key
from tests.integration.biscuit_samples import played
from tests.unit.nhi.biscuit.tokens import ED25519, mint, narrowed

_READS = 'operation("read"); time(2026-11-25T12:00:00Z); audience_srv("vault"); allow if true;'
_MISFORMED = {"Err": {"Format": {"Signature": {"InvalidSignature": "x"}}}}


def _case(folder: Path, name: str, token: bytes, asked: str, result: object) -> object:
    (folder / name).write_bytes(token)
    return {"filename": name, "validations": {"one": {"authorizer_code": asked, "result": result}}}


def test_what_samples_say_is_compared_with_what_happens(tmp_path: Path) -> None:
    token = narrowed(mint(), 'check if operation("read");')
    refuses = _READS.replace("read", "list")
    outcomes = [
        ("right", token, _READS, {"Ok": 0}),
        ("refused", token, refuses, {"Err": {"FailedLogic": {}}}),
        ("misformed", token[:-1], _READS, _MISFORMED),
        ("wrong-policy", token, _READS, {"Ok": 1}),
        ("wrong-refusal", token, _READS, {"Err": {"FailedLogic": {}}}),
        ("wrong-token", token[:-1], _READS, {"Ok": 0}),
    ]
    root = public_key(ED25519).data.hex()
    cases = [_case(tmp_path, *outcome) for outcome in outcomes]
    (tmp_path / "samples.json").write_text(json.dumps({"root_public_key": root, "testcases": cases}))
    tokens, validations, wrong = played(tmp_path)
    assert (tokens, validations) == (6, 6)
    assert [one.split(":")[0].split()[0] for one in wrong] == [
        "wrong-policy",
        "wrong-refusal",
        *["wrong-token"] * 2,
    ]

# SPDX-License-Identifier: EUPL-1.2
"""Transcripts: whatever carries a secret stands there redacted, and a file with a secret does not stay."""

import json
from pathlib import Path

import pytest

from esa_conformance.errors import ConformanceError
from esa_conformance.report.transcript import Transcript
from esa_conformance.wire.answer import Answer
from esa_conformance.wire.transport import Request

_CANARY = "esa-canary-00"


def _noted(folder: Path, request: Request, answer: Answer) -> dict[str, object]:
    transcript = Transcript(folder / "t", _CANARY, {"s.credential"})
    transcript.note("one_winner", request, answer, 0.012)
    transcript.finish()
    (line,) = (folder / "t").read_text(encoding="utf-8").splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_nothing_that_is_secret_is_written(tmp_path: Path) -> None:
    body = json.dumps({"data": {f"{_CANARY}-name": [f"x{_CANARY}-1"], "pin": 1}}).encode()
    given = {
        "auth": {"client_token": "s.new", "accessor": "abc", "policies": ["one"]},
        "data": {"secret_id": "s-i-d"},
    }
    line = _noted(
        tmp_path,
        Request(
            "POST",
            f"/v1/secret/data/x?version=1&token=s.other&after={_CANARY}",
            {"X-Vault-Token": "s.credential"},
            body,
        ),
        Answer(200, {"content-type": "application/json", "set-cookie": "c"}, json.dumps(given).encode()),
    )
    text = json.dumps(line)
    for secret in (_CANARY, "s.new", "abc", "s-i-d", "s.other", "s.credential", '"c"'):
        assert secret not in text
    assert line["target"] == "/v1/secret/data/x?version=1&token=<redacted:parameter>&after=<redacted:secret>"
    assert line["body"] == {"data": {"<redacted:secret>": ["<redacted:secret>"], "pin": 1}}
    assert line["answer"] == {
        "auth": {
            "client_token": "<redacted:client_token>",
            "accessor": "<redacted:accessor>",
            "policies": ["one"],
        },
        "data": {"secret_id": "<redacted:secret_id>"},
    }
    assert line["headers"] == {"X-Vault-Token": "<redacted:header>"}


def test_what_is_no_json_and_what_is_long_is_told_by_its_length(tmp_path: Path) -> None:
    line = _noted(
        tmp_path,
        Request("POST", "/x", {}, b"{" + _CANARY.encode()),
        Answer(413, {}, b'"' + b"x" * 70_000 + b'"'),
    )
    assert (line["body"], line["answer"]) == (
        "<redacted:14 bytes that are no JSON>",
        "<redacted:70002 bytes>",
    )


def test_a_file_in_which_a_secret_stands_is_removed(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "t", _CANARY, set())
    told_too_late = Answer(200, {}, b'{"auth": {"client_token": "s.late"}}')
    transcript.note("one", Request("GET", "/v1/s.late"), Answer(200), 0.1)
    transcript.note("one", Request("GET", "/v1/y"), told_too_late, 0.1)
    with pytest.raises(ConformanceError, match="a secret stood"):
        transcript.finish()
    assert not (tmp_path / "t").exists()

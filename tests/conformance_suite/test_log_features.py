# SPDX-License-Identifier: EUPL-1.2
"""Tests of features that the good server does not have: of stubs that have them, a good one passes and bad ones do not."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from esa_conformance.areas.log.events import early_purge_is_refused
from esa_conformance.areas.log.proofs import witnessed_checkpoint_is_shown
from esa_conformance.errors import Missed, Unsupported
from esa_conformance.run.trial import Trial
from tests.conformance_suite.made import state
from tests.conformance_suite.stub import Said, Sent, serving

_VECTORS = json.loads(
    (Path(__file__).parents[2] / "api-spec" / "vectors" / "log.json").read_text(encoding="utf-8")
)
_WITNESS = "\n— witness.example.org/w1 " + _VECTORS["checkpoint7"].rpartition(" ")[2]
_NOTE = _VECTORS["checkpoint7"].rstrip("\n") + _WITNESS


def _said(body: object) -> Said:
    return Said(200, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _server(status: Mapping[str, Any], purge: int, *, kept: bool = True) -> Callable[[Sent], Said]:
    """A server with a log: what its state is, with which status it answers a purge, and whether records stay."""
    purged = []

    def behave(request: Sent) -> Said:
        path = request.target.partition("?")[0]
        if path.endswith("/auth/token/create"):
            return _said({"auth": {"client_token": "s.made", "accessor": "a"}})
        if path.endswith("/sys/log/status"):
            return _said({"data": status})
        if path.endswith("/sys/log/purge"):
            purged.append(request)
            return Said(purge)
        if "/sys/log/records/" in path:
            return Said(404 if purged and not kept else 200)
        record = {"log": "l", "seq": 7, "phase": "outcome"}
        return _said({"data": {"records": [record], "version": 1}})

    return behave


def _tried(
    body: Callable[[Trial], None], behave: Callable[[Sent], Said], folder: Path, **log: object
) -> None:
    with serving(behave) as (port, _):
        found = state(folder, port, admin=True)
        try:
            body(Trial(replace(found, discovery={"log": log}), "core"))
        finally:
            assert found.journal is not None
            found.journal.close()


_GOOD = {"quorum": 1, "age": 0.5, "note": _NOTE}


def test_a_witnessed_checkpoint_is_accepted(tmp_path: Path) -> None:
    _tried(witnessed_checkpoint_is_shown, _server({"witnessed": _GOOD}, 400), tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"quorum": 0},
        {"quorum": 2},
        {"age": -1},
        {"age": None},
        {"note": ""},
        {"note": _VECTORS["checkpoint7"]},
    ],
)
def test_a_checkpoint_that_is_not_witnessed_is_missed(changed: Mapping[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Missed):
        _tried(witnessed_checkpoint_is_shown, _server({"witnessed": {**_GOOD, **changed}}, 400), tmp_path)


def test_a_log_without_witnesses_does_not_have_the_feature(tmp_path: Path) -> None:
    with pytest.raises(Unsupported):
        _tried(witnessed_checkpoint_is_shown, _server({"witnessed": None}, 400), tmp_path)


def test_a_purge_that_is_refused_is_accepted(tmp_path: Path) -> None:
    _tried(early_purge_is_refused, _server({}, 400), tmp_path, retention={"min": "P1D"})


@pytest.mark.parametrize(("purge", "kept"), [(200, True), (204, False), (400, False)])
def test_an_early_purge_is_missed(purge: int, kept: bool, tmp_path: Path) -> None:
    with pytest.raises(Missed):
        _tried(early_purge_is_refused, _server({}, purge, kept=kept), tmp_path, retention={"min": "P1D"})


def test_a_log_without_a_least_time_does_not_have_the_feature(tmp_path: Path) -> None:
    with pytest.raises(Unsupported):
        _tried(early_purge_is_refused, _server({}, 400), tmp_path, retention={})

# SPDX-License-Identifier: EUPL-1.2
"""A tail takes the same filters as a search, and compares them itself."""

import pytest

from vaultctl.commands.audit.filters import FILTERS, matches

_RECORD = {
    "actor": {"id": "e-1", "type": "workload"},
    "client.address": "10.2.0.9",
    "credential": {"accessor": "acc", "blocks": ["b0", "b1"]},
    "event_name": "esa.kv.read",
    "outcome": "success",
    "phase": "outcome",
    "policy": {"grant": [{"policy": "team", "rule": "secret/*"}], "by": [{"policy": "ops", "rule": "sys/*"}]},
    "request.id": "r-1",
    "resource": {"id": "secret/team/db", "type": "kv.secret"},
    "trace_id": "t-1",
}
_HAS = {
    "event": ["esa.kv.read", "esa.kv.*", "*"],
    "resource": ["secret/team/db", "secret/*"],
    "resource-type": ["kv.secret"],
    "outcome": ["success"],
    "phase": ["outcome"],
    "actor": ["e-1"],
    "credential": ["acc", "b1"],
    "policy": ["team", "ops"],
    "rule": ["secret/*", "sys/*"],
    "client-address": ["10.2.0.9"],
    "request-id": ["r-1"],
    "trace-id": ["t-1"],
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_record_fits_by_each_value_that_it_has_and_by_no_other(name: str) -> None:
    for value in _HAS[name]:
        assert matches(_RECORD, {name: ["other", value]})
    assert not matches(_RECORD, {name: ["other", "secret/tea", "esa.kv"]})
    assert not matches({}, {name: _HAS[name]})


def test_all_filters_must_fit() -> None:
    assert matches(_RECORD, {"event": ["esa.kv.read"], "actor": ["e-1", "e-2"]})
    assert not matches(_RECORD, {"event": ["esa.kv.read"], "actor": ["e-2"]})
    assert matches(_RECORD, {})


def test_a_star_is_a_star_where_a_search_takes_none() -> None:
    assert not matches(_RECORD, {"actor": ["e-*"]})
    assert not matches({"event_name": 5}, {"event": ["*"]})

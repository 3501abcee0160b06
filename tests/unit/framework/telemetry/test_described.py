# SPDX-License-Identifier: EUPL-1.2
"""What metrics mean is said once, in the rules that Prometheus has for names."""

import re

import pytest

from vault.framework.telemetry.described import ABSENT, MEANINGS, OWN, MetricFacts, meaning

_KINDS = {"counter": ("_total",), "histogram": ("_seconds",)}


@pytest.mark.parametrize("name", [name for name in MEANINGS if name.startswith(OWN)])
def test_our_own_names_say_what_only_grows_and_what_is_a_time(name: str) -> None:
    assert re.fullmatch(r"coffre\.[a-z_.]+", name)
    found = MEANINGS[name]
    assert name.endswith(_KINDS.get(found.kind, "")), found.kind
    assert name.endswith("_total") == (found.kind == "counter")
    assert found.kind != "summary"


def test_a_meaning_is_one_line_and_what_is_here_is_not_said_to_be_absent() -> None:
    for name, found in MEANINGS.items():
        assert found.says.isprintable(), name
        assert "|" not in found.says, name
    assert not MEANINGS.keys() & ABSENT.keys()


def test_every_route_has_one_meaning_and_what_nobody_described_its_name() -> None:
    assert meaning("route.read.secret-") == meaning("route.list.sys-") != ""
    assert meaning("house.own") == "house.own"
    assert MEANINGS["coffre.build_info"] == MetricFacts(
        "gauge", "1; the release, and that of OpenBao whose API it speaks", ("version", "api")
    )

# SPDX-License-Identifier: EUPL-1.2
"""The files to watch a server by: rules that Prometheus plays, and names that a server has, with their labels."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.house.tree import ROOT
from vault.framework.telemetry.described import MEANINGS
from vault.framework.telemetry.exposition import full_name

FOLDER = ROOT / "deploy/observability"
GUIDE = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
_KNOWN = {full_name(name, "vault"): found for name, found in MEANINGS.items()}
_ENDS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
_ADDED = {"instance", "job", "worker", "le", "quantile"}
"""Labels that are not the server's own, and those of buckets and quantiles."""
_OF_PROMETHEUS = {"up"}
_SELECTOR = re.compile(r"([a-z_:]+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\b(?:by|on) \(([a-z_, ]+)\)")


def _series() -> dict[str, set[str]]:
    """The name of each series that a server has, and its labels."""
    return {
        full + end: {*found.labels, *_ADDED}
        for full, found in _KNOWN.items()
        for end in _ENDS.get(found.kind, ("",))
    }


def _rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def _expressions() -> Iterator[tuple[str, str]]:
    for rule in _rules():
        yield rule["alert"], rule["expr"]
    board = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def unknown(expression: str) -> list[str]:
    """Return what an expression asks for that no server has."""
    series, found, asked = _series(), [], set[str]()
    for name, selectors in _SELECTOR.findall(_BY.sub("", expression)):
        if name.startswith(("vault_", "coffre_", "process_")) or selectors:
            if name not in series and name not in _OF_PROMETHEUS:
                found.append(name)
            known = series.get(name, _ADDED)
            asked |= known
            found += [
                f"{name}: {label}" for label in re.findall(r"([a-z_]+)[=!]", selectors) if label not in known
            ]
    groups = {label for part in _BY.findall(expression) for label in part.split(", ")}
    return [*found, *sorted(groups - asked)]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("sum by (instance) (rate(coffre_loop_stalls_total[10m])) > 5", []),
        ("coffre_loop_stalls > 5", ["coffre_loop_stalls"]),
        ('vault_core_unsealed{cluster="a"}', []),
        ('vault_core_unsealed{node="a"}', ["vault_core_unsealed: node"]),
        ("min by (instance, slot) (vault_core_unsealed)", ["slot"]),
        ("vault_core_handle_request_bucket", ["vault_core_handle_request_bucket"]),
    ],
)
def test_a_name_or_label_that_no_server_has_is_found(expression: str, found: list[str]) -> None:
    assert unknown(expression) == found


@pytest.mark.parametrize(("where", "expression"), sorted({*_expressions()}))
def test_every_rule_and_panel_asks_for_what_a_server_has(where: str, expression: str) -> None:
    assert where
    assert unknown(expression) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yaml"),
        ("test", "rules", "alerts.test.yaml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ],
    ids=["check", "test", "config"],
)
def test_prometheus_takes_the_rules_and_they_tell_what_they_should(arguments: tuple[str, ...]) -> None:
    ran = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_is_played_and_the_guide_says_what_to_do_about_it() -> None:
    played = yaml.safe_load((FOLDER / "alerts.test.yaml").read_text(encoding="utf-8"))
    fires = {
        one["alertname"]
        for test in played["tests"]
        for one in test.get("alert_rule_test", ())
        if one["exp_alerts"]
    }
    names = [rule["alert"] for rule in _rules()]
    assert sorted(fires) == sorted(names)
    assert [name for name in names if f"`{name}`" not in GUIDE] == []
    assert set(re.findall(r"`(Coffre[A-Za-z]+)`", GUIDE)) == set(names)


def test_the_dashboard_has_one_place_for_each_panel_and_one_data_source() -> None:
    board = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len(panels) > 30
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "instance"]

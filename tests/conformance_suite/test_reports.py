# SPDX-License-Identifier: EUPL-1.2
"""Reports in all their forms: whole, escaped, and verified against their own tests."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
import yaml

from esa_conformance.cli import main
from esa_conformance.report.badge import badge
from esa_conformance.report.difference import difference
from esa_conformance.report.junit import junit
from esa_conformance.report.page import page
from esa_conformance.report.readme import readme
from esa_conformance.report.verification import faults, read_report
from esa_conformance.report.yaml import gateway_like
from tests.conformance_suite.made import all_results, report, result

_ROOT = Path(__file__).parents[2]
_SCHEMA = json.loads((_ROOT / "api-spec" / "schemas" / "report.json").read_text(encoding="utf-8"))


def _written(made: dict[str, Any], path: Path) -> Path:
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


def _mixed(folder: Path) -> dict[str, Any]:
    return report(
        folder,
        all_results(
            one_winner="fail", large_integer_survives="warning", versions_count_up="error", paths_are_code_points="skipped",
            credential_is_unknown_elsewhere="fail", structure_has_no_value="unsupported", times_go_forward="flaky",
        ),
    )  # fmt: skip


def test_a_report_is_as_its_schema_says(tmp_path: Path) -> None:
    made = _mixed(tmp_path)
    jsonschema_rs.validate(_SCHEMA, made)
    for name in ("suite", "tests", "profiles"):
        assert not jsonschema_rs.is_valid(_SCHEMA, {key: value for key, value in made.items() if key != name})
    assert not jsonschema_rs.is_valid(_SCHEMA, {**made, "score": 97})


def test_a_report_holds_no_credential(tmp_path: Path) -> None:
    text = json.dumps(_mixed(tmp_path))
    assert "s.kv-credential" not in text
    assert "esa-canary" not in text


def test_junit_has_a_case_for_each_test_and_fails_for_what_counts(tmp_path: Path) -> None:
    suite = ET.fromstring(junit(_mixed(tmp_path)))  # noqa: S314 - our own
    assert int(suite.attrib["tests"]) == len(all_results())
    assert [suite.attrib[name] for name in ("failures", "errors", "skipped")] == ["2", "1", "3"]


def test_the_page_has_no_script_and_nothing_from_elsewhere_and_escapes(tmp_path: Path) -> None:
    made = _mixed(tmp_path)
    text = page([made, report(tmp_path, all_results())])
    assert "<script" not in text
    assert "src=" not in text
    assert "href=" not in text
    assert "vault <1>" not in text
    assert "vault &lt;1&gt; 1.4.0" in text
    assert text.count('<th scope="col">vault &lt;1&gt; 1.4.0</th>') == 8
    for test in made["tests"]:
        assert f"<code>{test['id']}</code>" in text


def test_the_yaml_is_yaml_and_says_the_same(tmp_path: Path) -> None:
    made = _mixed(tmp_path)
    found = yaml.safe_load(gateway_like(made))
    assert found["implementation"] == made["implementation"]
    assert [one["result"] for one in found["profiles"]] == [one["result"] for one in made["profiles"]]
    assert found["profiles"][0]["core"]["statistics"]["fail"] == 1
    assert found["profiles"][0]["core"]["reasons"] == made["profiles"][0]["reasons"]


def test_the_badge_names_what_holds_and_has_no_percentage(tmp_path: Path) -> None:
    good = badge(report(tmp_path, all_results()), "0" * 64)
    assert "kv-consume" in good
    assert "%" not in good
    assert "no claim holds" in badge(_mixed(tmp_path), "0" * 64)
    assert ET.fromstring(good).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own


def test_the_badge_names_no_profile_without_those_that_it_needs(tmp_path: Path) -> None:
    made = report(tmp_path, all_results())
    made["claim"] = ["X-transit"]
    assert 'aria-label="ESA 1.0: X-transit"' in badge(made, "0" * 64)
    (needed,) = [one for one in made["profiles"] if one["name"] == "kv-consume"]
    needed["result"] = "failure"
    assert "no claim holds" in badge(made, "0" * 64)


def test_the_readme_names_each_test_that_is_no_plain_pass(tmp_path: Path) -> None:
    made = _mixed(tmp_path)
    text = readme(made, "make conformance")
    assert "make conformance" in text
    listed = {test["id"] for test in made["tests"] if f"`{test['id']}`" in text}
    assert listed == {test["id"] for test in made["tests"] if test["outcome"] != "pass"}


def test_a_report_as_it_was_made_is_whole(tmp_path: Path) -> None:
    assert list(faults(report(tmp_path, all_results()))) == []
    assert list(faults(_mixed(tmp_path))) == []


def _better(made: dict[str, Any]) -> None:
    next(one for one in made["tests"] if one["id"] == "one_winner")["outcome"] = "pass"


def _fewer(made: dict[str, Any]) -> None:
    made["tests"] = [one for one in made["tests"] if one["id"] != "one_winner"]


def _twice(made: dict[str, Any]) -> None:
    made["tests"].append(made["tests"][0])


def _other(made: dict[str, Any]) -> None:
    made["tests"][0]["id"] = "nobody_knows"


def _success(made: dict[str, Any]) -> None:
    made["profiles"][0]["result"] = "success"


def _claimed(made: dict[str, Any]) -> None:
    made["features"]["etag"]["claimed"] = not made["features"]["etag"]["claimed"]


def _suite(made: dict[str, Any]) -> None:
    made["suite"]["sha256"] = "0" * 64


def _version(made: dict[str, Any]) -> None:
    made["suite"]["version"] = "0.9"


@pytest.mark.parametrize("change", [_better, _fewer, _twice, _other, _success, _claimed, _suite, _version])
def test_a_report_that_was_changed_is_found(change: Any, tmp_path: Path) -> None:
    made = _mixed(tmp_path)
    change(made)
    assert list(faults(made))
    assert main(["verify", str(_written(made, tmp_path / "r.json"))]) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}'])
def test_what_is_no_report_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text, encoding="utf-8")
    assert main(["verify", str(tmp_path / "r.json")]) == 2


def test_what_is_otherwise_is_told_by_its_name(tmp_path: Path) -> None:
    old = report(tmp_path, [
        result("one_winner", "pass"), result("versions_count_up", "fail"), result("times_go_forward", "pass"),
        result("structure_has_no_value", "unsupported"), result("large_value_is_kept", "pass", ms=100),
        result("paths_are_code_points", "pass"),
    ])  # fmt: skip
    new = report(tmp_path, [
        result("one_winner", "fail"), result("versions_count_up", "pass"), result("structure_has_no_value", "pass"),
        result("large_value_is_kept", "pass", ms=301), result("paths_are_code_points", "disabled"),
        result("value_comes_back", "pass"),
    ])  # fmt: skip
    new["tests"][3]["rev"] = 2
    found = {(change.kind, change.what.partition(":")[0], change.worse) for change in difference(old, new)}
    assert found == {
        ("regressed", "one_winner", True), ("mended", "versions_count_up", False),
        ("no longer run", "times_go_forward", True), ("now supported", "structure_has_no_value", False),
        ("slower", "large_value_is_kept", False), ("requirement changed", "ESA-KV-014", False),
        ("no longer run", "paths_are_code_points", True), ("newly run", "value_comes_back", False),
        ("feature gained", "subkeys", False),
    }  # fmt: skip


def test_the_exit_code_of_diff_is_1_where_something_is_worse(tmp_path: Path) -> None:
    one = _written(report(tmp_path, all_results()), tmp_path / "1.json")
    two = _written(report(tmp_path, all_results(one_winner="fail")), tmp_path / "2.json")
    assert main(["diff", str(one), str(one)]) == 0
    assert main(["diff", str(one), str(two)]) == 1
    assert main(["diff", str(two), str(one)]) == 0


@pytest.mark.parametrize("form", ["html", "junit", "yaml", "badge", "readme"])
def test_each_form_is_printed(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _written(_mixed(tmp_path), tmp_path / "r.json")
    assert main(["report", str(path), "--format", form]) == 0
    assert "kv-consume" in capsys.readouterr().out or form in {"badge", "junit"}


_PUBLISHED = sorted((_ROOT / "api-spec" / "reports").rglob("report.json"))


def test_both_reports_are_published() -> None:
    assert {path.parts[-3] for path in _PUBLISHED} == {"coffre", "openbao"}


@pytest.mark.parametrize("path", _PUBLISHED, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_a_published_report_is_whole(path: Path) -> None:
    """Made by the tests that there are now; the suite's digest is that of the day: run `make conformance`."""
    made = read_report(path)
    jsonschema_rs.validate(_SCHEMA, made)
    assert [fault for fault in faults(made) if not fault.startswith("suite.sha256")] == []
    results = {one["name"]: one["result"] for one in made["profiles"]}
    assert {name: results[name] for name in made["claim"]} == dict.fromkeys(made["claim"], "success")
    assert (made["cleanup"]["left"], made["run"]["stopped"], made["run"]["narrowed"]) == (0, None, False)
    assert made["run"]["network"] == "tls"
    of_tls = {one["outcome"] for one in made["tests"] if "ESA-CRY-003" in one["requirements"]}
    assert of_tls <= {"pass", "warning"}, "what a listener takes up is judged"
    assert {"README.md", "manifest.toml", "report.html"} <= {one.name for one in path.parent.iterdir()}

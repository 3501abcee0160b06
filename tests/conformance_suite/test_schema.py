# SPDX-License-Identifier: EUPL-1.2
"""The suite's own check of JSON Schema: as an independent one has it, and no word of a schema that it does not know."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from esa_conformance.cli import main
from esa_conformance.report import verification
from esa_conformance.report.schema import Schema, UnknownSchema, report_schema
from esa_conformance.report.verification import faults, read_report
from tests.conformance_suite.made import all_results, report
from tests.growth import excess

_TEXT = (Path(__file__).parents[2] / "api-spec" / "schemas" / "report.json").read_text(encoding="utf-8")
_SCHEMA = json.loads(_TEXT)
_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.0, 1.5, "", "x", "pass", "2026-11-30T08:00:00Z", "0" * 64, "0" * 64 + "\n", [], ["x"], [1], {},
    {"x": 1}, {"pass": 1},
]  # fmt: skip


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """All places in a value: what holds it, and its name or number there."""
    for key, one in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(one, dict | list):
            yield from _spots(one)


def test_it_judges_as_an_independent_one_does(tmp_path: Path) -> None:
    chance = random.Random(19)
    whole = report(tmp_path, all_results()[:3], claim=("X-hsm",))
    assert list(report_schema().faults(whole)) == []
    other = jsonschema_rs.validator_for(_SCHEMA, validate_formats=True)
    refused = 0
    for _ in range(3000):
        made = copy.deepcopy(whole)
        holder, key = chance.choice(list(_spots(made)))
        what = chance.randrange(3)
        if what == 0:
            holder[key] = chance.choice(_VALUES)
        elif what == 1:
            del holder[key]
        elif isinstance(holder, dict):
            holder[chance.choice(["x", "pass", "name"])] = chance.choice(_VALUES)
        wrong = list(report_schema().faults(made))
        assert (not wrong) == other.is_valid(made), (key, wrong)
        refused += bool(wrong)
    assert 1000 < refused < 3000


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "minimum": 1}, [1, 2.0, 10**400], [0, 1.5, True, "1", None, float("inf"), float("nan")]),
        ({"type": ["number", "null"]}, [1, 1.5, None], [True, "1", float("nan"), float("-inf")]),
        ({"const": "a"}, ["a"], ["b", None, ["a"]]),
        ({"enum": ["a", None]}, ["a", None], [0, False, "b", []]),
        ({"pattern": "^[0-9]{2}$"}, ["12", 5], ["1", "12\n", "x12"]),
        ({"format": "date-time"}, ["2026-11-30T08:00:00Z", "2026-11-30t08:00:00.5+01:00", 7],
         ["2026-13-30T08:00:00Z", "2026-11-30", "2026-11-30T08:00:00", "2026-11-30 08:00:00Z"]),
        ({"minItems": 1, "items": {"type": "string"}}, [["a"], "x"], [[], [1]]),
        ({"propertyNames": {"enum": ["a"]}}, [{}, {"a": 1}], [{"b": 1}]),
        ({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/d"}], "$defs": {"d": {"type": "null"}}}, ["a", None], [1]),
        ({"properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "string"}}, [{"a": None, "b": "c"}, 1],
         [{"a": "b"}, {"b": None}]),
        ({"required": ["a"], "additionalProperties": True}, [{"a": 1, "b": 2}], [{"b": 2}]),
    ],
)  # fmt: skip
def test_each_word_means_what_the_standard_says(schema: Any, good: list[Any], bad: list[Any]) -> None:
    of = Schema(schema)
    assert [one for one in good if list(of.faults(one))] == []
    assert [one for one in bad if not list(of.faults(one))] == []


@pytest.mark.parametrize(
    "schema",
    [
        {"maxLength": 3}, {"oneOf": [{}]}, {"if": {}}, {"uniqueItems": True}, {"type": "text"}, {"type": [["string"]]},
        {"const": 1}, {"enum": [True]}, {"enum": "a"}, {"pattern": "a"}, {"pattern": "^a$|^b$"}, {"format": "uri"},
        {"minimum": "1"}, {"$ref": "#/$defs/none"}, {"$ref": "other.json"}, {"anyOf": []}, {"items": True}, {"items": {"properties": {"a": True}}},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}}, {"$defs": {"a": {"maximum": 1}}},
        *({word: {"not": {}}} for word in ("items", "propertyNames", "additionalProperties")),
        {"properties": {"a": {"anyOf": [{"type": "null"}, {"contains": {}}]}}},
    ],
)  # fmt: skip
def test_what_it_does_not_know_is_an_error_of_the_program(schema: Any) -> None:
    with pytest.raises(UnknownSchema, match="the suite is wrong"):
        Schema(schema)


def test_such_a_schema_ends_verification_with_the_exit_code_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.json").write_text(json.dumps(report(tmp_path, all_results())), encoding="utf-8")
    assert main(["verify", str(tmp_path / "r.json")]) == 0
    monkeypatch.setattr(verification, "report_schema", lambda: Schema({**_SCHEMA, "maxProperties": 3}))
    assert main(["verify", str(tmp_path / "r.json")]) == 3
    assert "it does not know maxProperties" in capsys.readouterr().err


def _more(made: dict[str, Any]) -> None:
    made["score"] = 97


def _less(made: dict[str, Any]) -> None:
    del made["run"]["mode"]


def _not_finite(made: dict[str, Any]) -> None:
    made["run"]["seconds"] = float("nan")


def _no_digest(made: dict[str, Any]) -> None:
    made["config"]["manifest_sha256"] += "\n"


@pytest.mark.parametrize("change", [_more, _less, _not_finite, _no_digest])
def test_a_report_against_its_schema_is_not_whole(change: Callable[[Any], None], tmp_path: Path) -> None:
    made = report(tmp_path, all_results())
    change(made)
    (tmp_path / "r.json").write_text(json.dumps(made), encoding="utf-8")
    assert main(["verify", str(tmp_path / "r.json")]) == 1
    (fault,) = faults(made)
    assert "\n" not in fault


def test_few_of_many_faults_are_told_and_nothing_of_the_values(tmp_path: Path) -> None:
    made = report(tmp_path, all_results())
    made["config"]["allow"] = [{"s.secret": "s.secret"}] * 1000
    found = list(faults(made))
    assert len(found) == 20
    assert "s.secret" not in "".join(found)


def test_a_report_that_is_too_large_or_too_deep_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(b" " * ((16 << 20) + 1))
    assert main(["verify", str(path)]) == 2
    assert "larger than" in capsys.readouterr().err
    path.write_bytes(b"[" * 101 + b"]" * 101)
    assert main(["verify", str(path)]) == 2
    assert "too deep" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["tests", "claim", "profiles", "features", "contact", "reasons", "core", "x"]
)
def test_verification_costs_as_much_as_there_is(name: str, tmp_path: Path) -> None:
    def work(size: int) -> Callable[[], object]:
        made = report(tmp_path, all_results())
        one = made["profiles"][0]
        if name in {"tests", "claim", "profiles"}:
            made[name] = made[name] * (size // len(made[name]))
        elif name == "features":
            made["features"] |= {f"f{n}": made["features"]["etag"] for n in range(size)}
        elif name == "contact":
            made["implementation"]["contact"] = ["x"] * size
        elif name == "reasons":
            one["reasons"] = ["x" * 1000] * (size // 100)
        elif name == "core":
            one["core"] = {f"f{n}": 1 for n in range(size)}
        else:
            made |= {f"f{n}": 1 for n in range(size)}
        path = tmp_path / f"{size}.json"
        path.write_text(json.dumps(made), encoding="utf-8")
        return lambda: list(faults(read_report(path)))

    assert excess(work, 4000, 10.0) == ""


def test_the_suite_has_the_schema_that_is_published() -> None:
    inside = Path(verification.__file__).parents[1] / "report-schema.json"
    assert inside.read_text(encoding="utf-8") == _TEXT

# SPDX-License-Identifier: EUPL-1.2
"""What comes from outside and is nested deep, of other types or full of control characters ends in a line, and an exit code."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esa_conformance.cli import main
from esa_conformance.decoding import MOST_DEEP, json_of, shown, toml_of
from esa_conformance.errors import ConformanceError, TooDeep
from esa_conformance.evidence.notes import checkpoints_in
from esa_conformance.evidence.records import records_of
from esa_conformance.report.transcript import Transcript
from esa_conformance.wire.answer import Answer
from esa_conformance.wire.transport import Request
from tests.conformance_suite.made import all_results, manifest, report
from tests.conformance_suite.stub import Behaviour, Said, serving

_DEPTHS = (MOST_DEEP + 1, 600, 100_000)


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("depth", _DEPTHS)
def test_what_is_nested_too_deep_is_not_read(depth: int) -> None:
    for text in (_nested(depth), '{"a":' * depth + "1" + "}" * depth):
        with pytest.raises(TooDeep):
            json_of(text)
    with pytest.raises(TooDeep):
        toml_of(f"a = {_nested(depth)}")
    with pytest.raises(TooDeep):
        _ = Answer(200, {}, _nested(depth).encode()).json


def test_what_is_less_deep_is_read_as_it_is() -> None:
    assert json_of(_nested(MOST_DEEP)) == json.loads(_nested(MOST_DEEP))
    assert toml_of("a = [[1], {b = [2]}]") == {"a": [[1], {"b": [2]}]}
    assert json_of("[0.10, 7]", fraction=Decimal) == [Decimal("0.10"), 7]


@pytest.mark.parametrize("text", ["[1E99999999999999999999]", "[" + "9" * 5000 + "]", "[", b"\xff"])
def test_what_has_no_value_is_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        json_of(text, fraction=Decimal)


def test_files_that_are_handed_over_say_so() -> None:
    line = f'{{"note": {_nested(5000)}}}\n'.encode()
    for read in (lambda: records_of([line]), lambda: checkpoints_in(line)):
        with pytest.raises(ConformanceError, match="too deep"):
            read()


def test_a_transcript_has_no_answer_that_is_too_deep(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "t", "esa-canary-00", set())
    transcript.note("one", Request("GET", "/v1/x"), Answer(200, {}, _nested(5000).encode()), 0.1)
    transcript.finish()
    line = json.loads((tmp_path / "t").read_text(encoding="utf-8"))
    assert line["answer"] == "<redacted:10000 bytes that are no JSON>"


def test_what_is_shown_of_a_server_is_one_line_of_text() -> None:
    assert shown("v1\x1b[2J\n\ud800\u202e") == "v1\ufffd[2J\ufffd\ufffd\ufffd"
    assert len(shown("x" * 10_000)) == 200


def _run(folder: Path, behave: Behaviour, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("KV", "s.kv")
    monkeypatch.setenv("DENIED", "s.denied")
    monkeypatch.chdir(folder)
    with serving(behave) as (port, _):
        manifest(folder, port=port)
        return main(["run", "--manifest", "manifest.toml", "--report", "r.json", "--only", "ESA-KV-00*"])


def test_a_server_that_answers_too_deep_is_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = _nested(100_000).encode()
    assert _run(tmp_path, lambda _: Said(body=deep), monkeypatch) == 3
    assert capsys.readouterr().err == "what was answered or given is nested too deep to be read\n"

    def later(request: Any) -> Said:
        return Said(body=b'{"cluster_id": "5f0c"}' if "health" in request.target else deep)

    assert _run(tmp_path, later, monkeypatch) == 3


def test_a_server_whose_name_is_no_text_is_told_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = b'{"cluster_id": "5f0c", "version": "\\u001b[2J\\ud800", "features": ["\\ud800"]}'
    _run(tmp_path, lambda _: Said(body=odd), monkeypatch)
    assert "version: \ufffd[2J\ufffd" in capsys.readouterr().out
    assert "\ufffd" in json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["features"]


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "x.json"), ("report", "x.json"), ("diff", "x.json", "x.json"), ("plan", "--manifest", "x.json"),
        ("plan", "--manifest", "x.toml"), ("cleanup", "--manifest", "manifest.toml", "--journal", "x.json"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("depth", _DEPTHS)
def test_a_file_that_is_too_deep_is_exit_code_2(
    words: tuple[str, ...], depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest(tmp_path)
    monkeypatch.setenv("KV", "s.kv")
    monkeypatch.setenv("DENIED", "s.denied")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.json").write_text(_nested(depth), encoding="utf-8")
    (tmp_path / "x.toml").write_text(f"a = {_nested(depth)}", encoding="utf-8")
    assert main(list(words)) == 2


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("profiles", [7]),
        ("features", {"wrap": []}),
        ("run", {}),
        ("claim", [[]]),
        ("cleanup", {}),
        ("suite", {}),
    ],
)
def test_a_report_with_other_members_is_exit_code_2_or_a_fault(
    member: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = report(tmp_path, all_results())
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**made, member: value}), encoding="utf-8")
    codes = {
        form: main(["report", str(path), "--format", form]) for form in ("html", "yaml", "junit", "readme")
    }
    assert set(codes.values()) <= {0, 2}
    assert 2 in codes.values()
    assert main(["verify", str(path)]) in {1, 2} or member in {"run", "cleanup"}
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_that_cannot_be_written_and_a_fault_of_the_suite_are_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(*_: object) -> int:
        raise KeyError("hidden")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device", "r.json")

    monkeypatch.setattr("esa_conformance.commands.catalogue.show_list", wrong)
    assert main(["list"]) == 3
    assert capsys.readouterr().err.startswith("the suite is wrong: KeyError in wrong")
    monkeypatch.setattr("esa_conformance.commands.catalogue.show_list", full)
    assert main(["list"]) == 3
    assert capsys.readouterr().err == "r.json: No space left on device\n"

# SPDX-License-Identifier: EUPL-1.2
"""What is made of the requirements: up to date, with the command that mends it, and whole."""

import json
from pathlib import Path

import pytest

from tests.api_spec import __main__ as made
from tests.api_spec.requirements import requirements


def test_the_committed_files_are_what_the_sources_say() -> None:
    assert made.main(["--check"]) == 0, "run: python -m tests.api_spec"


def test_a_stale_file_is_named_with_the_command_that_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made.main([], tmp_path) == 0
    assert made.main(["--check"], tmp_path) == 0
    (tmp_path / "schemas" / "log-record.json").write_text("{}")
    assert made.main(["--check"], tmp_path) == 1
    assert (
        capsys.readouterr().err
        == "api-spec/schemas/log-record.json is out of date; run: python -m tests.api_spec\n"
    )


def test_an_unknown_argument_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert made.main(["--write"], tmp_path) == 1
    assert capsys.readouterr().err.startswith("usage: ")
    assert list(tmp_path.iterdir()) == []


def test_the_suite_has_every_requirement_in_the_order_of_the_text() -> None:
    listed = json.loads(made.files()["conformance/esa_conformance/requirements.json"])
    assert [(each["id"], each["rev"], each["text"]) for each in listed["requirements"]] == [
        (each.id, each.rev, each.text) for each in requirements()
    ]
    assert listed["spec"] == "1.0"
    assert {each["profile"] for each in listed["requirements"]} <= {
        each["name"] for each in listed["profiles"]
    }


def test_the_schema_of_records_names_no_product() -> None:
    assert "coffre" not in made.files()["schemas/log-record.json"].lower()

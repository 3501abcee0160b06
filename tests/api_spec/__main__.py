# SPDX-License-Identifier: EUPL-1.2
"""Writes what `api-spec/` derives from its requirements: `python -m tests.api_spec`, or `--check` to compare only."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.api_spec.derived import record_schema, suite_list
from tests.api_spec.page import page
from tests.api_spec.requirements import FOLDER


def files() -> Mapping[str, str]:
    """The name and content of every file that is made."""
    return {
        "conformance/esa_conformance/requirements.json": suite_list(),
        "conformance/esa_conformance/report-schema.json": _read(FOLDER / "schemas" / "report.json"),
        "schemas/log-record.json": record_schema(),
        "spec.html": page(),
    }


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the files into `folder`, or with `--check` tell which are out of date; return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given not in ([], ["--check"]):
        sys.stderr.write("usage: python -m tests.api_spec [--check]\n")
        return 1
    stale = {name: text for name, text in files().items() if _read(folder / name) != text}
    if given:
        for name in stale:
            sys.stderr.write(f"api-spec/{name} is out of date; run: python -m tests.api_spec\n")
        return 1 if stale else 0
    for name, text in stale.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.cli.recorded``: what the real binary prints and asks in every canned case, written down.

To start it is most of what comparing with it costs, and what it meets here is the same each time. Writes
``bao-canned.jsonl`` beside this file: the version, then each case by its mark.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from tests.cli import (
    cases_consent,
    cases_estate,
    cases_namespaces,
    cases_operating,
    cases_secrets,
    cases_tokens,
)
from tests.cli.canned import Case, Shown, theatre
from tests.cli.tree_of_bao import version

RECORDED = Path(__file__).with_name("bao-canned.jsonl")
CASES = [
    *cases_consent.CASES,
    *cases_estate.CASES,
    *cases_namespaces.CASES,
    *cases_operating.CASES,
    *cases_secrets.CASES,
    *cases_tokens.CASES,
]


def mark(case: Case) -> str:
    """What tells a case from all others, and from what it was before it was changed."""
    whole = [case.line, case.answers, case.text, case.environ]
    return sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def recorded() -> tuple[str, Mapping[str, Shown]]:
    """The version of the binary, and what it showed by the marks of cases."""
    said, *lines = RECORDED.read_text(encoding="utf-8").splitlines()
    cases = map(json.loads, lines)
    return json.loads(said), {
        name: Shown(stdout, code, [tuple(one) for one in asked], "") for name, _, stdout, code, asked in cases
    }


def furnish(home: Path) -> Path:
    """Put the files where they are that some cases name."""
    (home / "binary.pgp").write_bytes(b"\x99\x01\x0d\x04")
    (home / "text.b64").write_text("bQ==\n")
    return home


def _lines() -> Iterator[str]:
    yield json.dumps(version())
    with theatre() as stage:
        for case in CASES:
            with tempfile.TemporaryDirectory() as home:
                shown = stage.by_bao(case, furnish(Path(home)))
            yield json.dumps(
                [mark(case), case.line, shown.stdout, shown.code, shown.asked], ensure_ascii=False
            )


if __name__ == "__main__":
    os.environ.setdefault("GOGC", "400")
    RECORDED.write_text("".join(f"{line}\n" for line in _lines()), encoding="utf-8")

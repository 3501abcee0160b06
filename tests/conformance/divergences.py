# SPDX-License-Identifier: EUPL-1.2
"""The declared divergences: what the table in ``api-spec/divergences.md`` lets differ, and nothing more."""

import re
from collections.abc import Mapping
from pathlib import Path

TABLE = Path(__file__).parents[2] / "api-spec" / "divergences.md"
ERROR_TEXT, STATUS, ANSWER = KINDS = ("error text", "status", "answer")
"""What may differ: the words of a refusal; its status too; anything."""
_ROW = re.compile(r"^\| (DV-\d\d) \| ([a-z ]+) \|", flags=re.MULTILINE)


def declared() -> dict[str, str]:
    """What may differ, by the identifier of the divergence. Raises ``ValueError`` for a row with another word."""
    rows = dict(_ROW.findall(TABLE.read_text(encoding="utf-8")))
    unknown = sorted({*rows.values()} - {*KINDS})
    if unknown:
        raise ValueError(f"{TABLE.name}: nothing can differ by {unknown}; it must be one of {KINDS}")
    return rows


def comparable(seen: Mapping[str, object], kind: str) -> Mapping[str, object]:
    """What of an answer must be equal all the same under a divergence of `kind`.

    Only a refusal has words or a status that may differ: an answer below 400 stays as it is, so that a step
    that is refused on one side alone needs the kind ``answer``.
    """
    if kind == ANSWER:
        return {}
    status = seen["status"]
    if not isinstance(status, int) or status < 400:
        return seen
    kept = dict(seen)
    if kind == STATUS:
        kept["status"] = "<refused>"
    if "text" in kept:
        kept["text"] = "<words>"
    body = kept.get("json")
    if isinstance(body, dict) and isinstance(body.get("errors"), list):
        kept["json"] = body | {"errors": ["<words>" for _ in body["errors"]] or "<none>"}
        if kind == STATUS:
            kept["json"] = body | {"errors": "<words>"}
    return kept

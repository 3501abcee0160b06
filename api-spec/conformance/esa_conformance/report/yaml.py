# SPDX-License-Identifier: Apache-2.0
"""A report as YAML in the shape that Gateway API has: our own fixed structure, each value written as JSON writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def gateway_like(report: Mapping[str, Any]) -> str:
    """Implementation, profiles, their statistics and features."""
    made = {
        "apiVersion": f"european-secrets-api/{report['spec']}",
        "kind": "ConformanceReport",
        "date": report["run"]["started"],
        "suite": {"version": report["suite"]["version"], "sha256": report["suite"]["sha256"]},
        "implementation": report["implementation"],
        "mode": report["run"]["mode"],
        "profiles": [
            {
                "name": one["name"],
                "result": one["result"],
                "core": {
                    "statistics": {name: number for name, number in one["core"].items() if number},
                    "reasons": one["reasons"],
                    "notCounted": one["not_counted"],
                },
                "extended": {
                    "supportedFeatures": one["extended"]["supported"],
                    "unsupportedFeatures": one["extended"]["unsupported"],
                },
            }
            for one in report["profiles"]
        ],
    }
    return "\n".join(_lines(made, "")) + "\n"


def _lines(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, member in value.items():
        if isinstance(member, Mapping) and member:
            yield f"{indent}{name}:"
            yield from _lines(member, f"{indent}  ")
        elif isinstance(member, list) and member:
            yield f"{indent}{name}:"
            for one in member:
                if isinstance(one, Mapping):
                    first, *rest = _lines(one, f"{indent}  ")
                    yield f"{indent}- {first.strip()}"
                    yield from rest
                else:
                    yield f"{indent}- {json.dumps(one)}"
        else:
            yield f"{indent}{name}: {json.dumps(member)}"

# SPDX-License-Identifier: Apache-2.0
"""A badge: version and profiles whose claim holds, with those that they need. It has no number that could be compared."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from esa_conformance.requirements import profiles, with_needed

_LETTER: Final = 6.6
"""Width of a letter, about."""


def badge(report: Mapping[str, Any], sha256: str) -> str:
    """An SVG picture; its title is the digest of the report that it stands for."""
    good = {one["name"] for one in report["profiles"] if one["result"] == "success"}
    claimed = sorted(good & set(report["claim"]), key=[*profiles()].index)
    held = [name for name in claimed if good.issuperset(with_needed((name,)))]
    left, right = f"ESA {report['spec']}", " · ".join(held) or "no claim holds"
    colour = "#1a7f37" if held else "#8a4600"
    one, two = round(len(left) * _LETTER + 14), round(len(right) * _LETTER + 14)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{one + two}" height="20" role="img" aria-label="{escape(left)}: {escape(right)}">
<title>report sha256:{escape(sha256)}</title>
<rect width="{one}" height="20" fill="#333"/>
<rect x="{one}" width="{two}" height="20" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{one / 2}" y="14">{escape(left)}</text>
<text x="{one + two / 2}" y="14">{escape(right)}</text>
</g>
</svg>
"""

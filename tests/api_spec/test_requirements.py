# SPDX-License-Identifier: EUPL-1.2
"""The requirements are well made: known members, ids in order, a level that their text has, and what they name exists."""

import re
from itertools import pairwise
from typing import Final

import pytest

from tests.api_spec.requirements import (
    AREAS,
    CLASSES,
    EVIDENCE,
    FOLDER,
    SPEC,
    Requirement,
    registry,
    requirements,
)

_ID: Final = re.compile(r"ESA-[A-Z]{2,3}-\d{3}")
_BCP14: Final = re.compile(r"\b(?:MUST|SHOULD|MAY)\b")
_LOWER: Final = re.compile(r"\b(?:must|should|shall)\b")
"""In a requirement such a word is either one of BCP 14 or misleading."""
_PRODUCTS: Final = re.compile(r"Coffre|OpenBao|Vault\b(?!-)|HashiCorp|STACKIT|OVH", re.IGNORECASE)
_WITH: Final = re.compile(r"[,;]? (?:and )?with \[([a-z-]+)\].*")
ALL: Final = requirements()


def level(text: str) -> str:
    """The strongest word of BCP 14 in a text that holds without a feature."""
    words = set(_BCP14.findall(_WITH.sub("", text)))
    return next(word for word in ("MUST", "SHOULD", "MAY") if word in words)


def test_every_requirement_of_the_design_is_there() -> None:
    count = {area: sum(each.area == area for each in ALL) for area in AREAS}
    assert count == {
        "GEN": 9, "ERR": 8, "KV": 21, "POL": 8, "AUT": 11, "WRP": 1, "NSP": 3, "LOG": 25, "LSE": 7, "NHI": 19, "HSM": 8,
        "TRN": 12, "CRY": 3, "POR": 6,
    }  # fmt: skip


def test_no_file_is_left_out() -> None:
    names = {path.name for path in (FOLDER / "requirements").glob("*.yaml")}
    assert names == {f"ESA-{area}.yaml" for area in AREAS}


def test_ids_have_their_form_and_rise_in_each_area() -> None:
    assert [each.id for each in ALL if not _ID.fullmatch(each.id) or each.area not in AREAS] == []
    for area in AREAS:
        ids = [each.id for each in ALL if each.area == area]
        assert all(one < other for one, other in pairwise(ids)), ids


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_a_requirement_is_whole(each: Requirement) -> None:
    assert each.rev >= 1
    assert each.since == SPEC
    assert each.level == level(each.text)
    assert each.kind in CLASSES
    assert each.binding in {one["name"] for one in registry("bindings")}
    assert set("+".join(each.evidence).split("+")) <= set(EVIDENCE)
    assert each.servers in {1, 2}
    assert each.until in {None, SPEC}
    assert each.untested is None or len(each.untested.split()) > 5
    assert not each.until or each.untested
    assert len(each.rationale.split()) > 5
    assert each.rationale.endswith(".")
    assert each.text.endswith(".")
    assert _LOWER.search(each.text) is None


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_profile_and_feature_of_a_requirement_are_registered(each: Requirement) -> None:
    features = {one["name"]: one for one in registry("features")}
    named = {each.feature, each.must_with} - {None}
    assert set(re.findall(r"\[([a-z-]+)\]", each.text)) == {each.must_with} - {None}
    assert each.profile in {one["name"] for one in registry("profiles")}
    assert {features[name or ""]["profile"] for name in named} <= {each.profile}


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_no_product_is_named_in_what_is_normative(each: Requirement) -> None:
    assert _PRODUCTS.search(each.text) is None
    assert _PRODUCTS.search((each.compat or "").replace("X-Vault-", "")) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It MUST be.", "MUST"),
        ("It SHOULD be; with [etag] it MUST be.", "SHOULD"),
        ("It SHOULD be and MUST NOT be.", "MUST"),
        ("It MAY be, and with [etag] MUST be.", "MAY"),
    ],
)
def test_the_level_is_that_without_a_feature(text: str, expected: str) -> None:
    assert level(text) == expected

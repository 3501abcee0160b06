# SPDX-License-Identifier: EUPL-1.2
"""The registries agree with the requirements, and with the code: what a server sends is registered, and nothing is missing."""

import json
import re
from typing import Any, Final

import pytest

from nhi.biscuit.format.authority import Algorithm
from tests.api_spec.requirements import EVIDENCE, FOLDER, SPEC, registry, requirements
from vault.framework.errors import problem_type
from vault.log.format.note_key import KeyKind
from vault.wire.v1 import STATUS

_LISTS: Final = ("bindings", "crypto-suites", "features", "problems", "profiles")
_NAME: Final = re.compile(r"(?:X-)?[a-z0-9]+(?:-[a-z0-9]+)*")


def _named(name: str) -> dict[str, Any]:
    return {each["name"]: each for each in registry(name)}


@pytest.mark.parametrize("name", _LISTS)
def test_a_registry_has_each_name_once_and_says_since_when(name: str) -> None:
    listed = registry(name)
    assert len(_named(name)) == len(listed)
    assert [
        each["name"] for each in listed if not _NAME.fullmatch(each["name"]) or each["since"] != SPEC
    ] == []


def test_no_registry_is_left_out() -> None:
    assert {path.stem for path in (FOLDER / "registry").glob("*.yaml")} == {*_LISTS, "events"}


def test_every_refusal_of_the_server_is_registered_with_its_status() -> None:
    problems = _named("problems")
    sent = {problem_type(kind.__new__(kind)).rpartition(":")[2]: status for kind, status in STATUS.items()}
    assert sent.keys() == {name for name, each in problems.items() if not each.get("reserved")}
    assert {name: status for name, status in sent.items() if status not in problems[name]["status"]} == {}
    assert len(json.loads((FOLDER / "errors.json").read_text())) == len(sent)


def test_every_event_of_the_server_is_registered() -> None:
    lines = (FOLDER / "log" / "events.txt").read_text().splitlines()
    assert registry("events")["events"] == sorted({line.split()[0] for line in lines})


def test_every_area_and_verb_of_an_event_has_a_meaning_and_no_other_has() -> None:
    events = registry("events")
    split = [name.split(".") for name in events["events"]]
    assert {parts[0] for parts in split} == {"esa"}
    assert {parts[1] for parts in split} == events["areas"].keys()
    assert {parts[-1] for parts in split} == events["verbs"].keys()
    meanings = [*events["areas"].values(), *events["verbs"].values()]
    assert [meaning for meaning in meanings if not meaning.endswith(".")] == []


def test_every_feature_is_required_somewhere() -> None:
    used = {name for each in requirements() for name in (each.feature, each.must_with) if name}
    assert _named("features").keys() == used


def test_a_profile_lists_its_core_and_its_features() -> None:
    for name, profile in _named("profiles").items():
        own = [each for each in requirements() if each.profile == name]
        assert profile["core"] == sorted(each.id for each in own if not each.feature), name
        assert profile["features"] == [
            each["name"] for each in registry("features") if each["profile"] == name
        ]
        assert set(profile.get("claims", ())) <= set(profile["features"])
        assert bool(profile.get("reserved")) == (not own)
        assert {kind for each in own for kind in "+".join(each.evidence).split("+")} <= set(
            profile["evidence"]
        )
        assert set(profile["evidence"]) <= set(EVIDENCE)


def test_profiles_need_only_those_before_them() -> None:
    before: set[str] = set()
    for profile in registry("profiles"):
        assert set(profile["needs"]) <= before
        before.add(profile["name"])


def test_what_signs_notes_and_credentials_is_registered() -> None:
    suites = _named("crypto-suites")
    numbers = {each["note_type"] for each in suites.values() if "note_type" in each}
    assert {int(kind) for kind in KeyKind} <= numbers
    names = {Algorithm.ED25519: "ed25519", Algorithm.P256: "ecdsa-p256-sha256"}
    assert {names[algorithm] for algorithm in Algorithm} <= suites.keys()
    assert {each["pq"] for each in suites.values()} <= {"none", "hybrid", "pq"}
    assert {each["status"] for each in suites.values()} <= {"current", "legacy"}

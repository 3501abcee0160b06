# SPDX-License-Identifier: EUPL-1.2
"""What is removed is what the server says is gone; whatever it does not let anybody see is left, and told."""

import time
from pathlib import Path

import pytest

from esa_conformance.run.cleanup import Cleaner
from esa_conformance.run.journal import Entry, Kind
from tests.conformance_suite.made import RUN, state
from tests.conformance_suite.mutants import body_of, done, refusing
from tests.conformance_suite.stub import Behaviour, Said, Sent, serving

_KINDS: tuple[Kind, ...] = ("secret", "policy", "token", "wrapping", "mount", "auth", "quota", "seal")


def _left(folder: Path, behave: Behaviour, *entries: Entry) -> list[Entry]:
    with serving(behave) as (port, _):
        made = state(folder, port, admin=True)
        return Cleaner(RUN, made.nobody, made.callers, seal_key=None).clean(entries)


def _entry(kind: Kind, accessor: str = "", number: int = 1) -> Entry:
    return Entry(number, kind, f"esa-{RUN}-{number}", "", "secret", accessor)


@pytest.mark.parametrize("status", [403, 429, 500, 503])
@pytest.mark.parametrize("kind", _KINDS)
def test_what_nobody_may_look_at_is_left(kind: Kind, status: int, tmp_path: Path) -> None:
    assert _left(tmp_path, lambda _: refusing(status), _entry(kind)) == [_entry(kind)]


@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("kind", ["token", "wrapping"])
def test_a_credential_that_cannot_be_looked_up_is_left(kind: Kind, status: int, tmp_path: Path) -> None:
    entry = _entry(kind, "accessor-1")
    assert _left(tmp_path, lambda _: refusing(status), entry) == [entry]


@pytest.mark.parametrize("kind", [kind for kind in _KINDS if kind != "seal"])
def test_what_is_not_there_is_gone(kind: Kind, tmp_path: Path) -> None:
    assert _left(tmp_path, lambda _: refusing(404), _entry(kind)) == []


def _left_without_admin(folder: Path, behave: Behaviour, entry: Entry, token: str = "") -> list[Entry]:
    with serving(behave) as (port, _):
        made = state(folder, port)
        given = {entry.number: token} if token else {}
        return Cleaner(RUN, made.nobody, made.callers, seal_key=None, wrapping=given).clean([entry])


@pytest.mark.parametrize(
    ("unwrap", "look_up", "gone"),
    [
        (200, 404, True),
        (400, 400, True),
        (403, 403, True),
        (404, 200, False),
        (429, 200, False),
        (503, 503, False),
    ],
)
def test_without_administrator_a_wrapped_answer_is_taken(
    unwrap: int, look_up: int, gone: bool, tmp_path: Path
) -> None:
    seen: list[str] = []

    def behave(request: Sent) -> Said:
        seen.append(request.headers.get("x-vault-token", ""))
        status = unwrap if request.target.endswith("unwrap") else look_up
        return done() if status == 200 else refusing(status)

    entry = _entry("wrapping")
    assert _left_without_admin(tmp_path, behave, entry, token="s.wrapping") == ([] if gone else [entry])
    assert seen[0] == "s.wrapping"
    assert "s.kv" not in seen


@pytest.mark.parametrize(("age_s", "gone"), [(0, False), (100, False), (600, True)])
def test_a_wrapped_answer_that_nobody_can_take_ends_by_itself(age_s: int, gone: bool, tmp_path: Path) -> None:
    entry = Entry(1, "wrapping", f"esa-{RUN}-1", "", "", "accessor-1", time.time() - age_s)
    assert _left_without_admin(tmp_path, lambda _: refusing(403), entry) == ([] if gone else [entry])


def test_a_credential_of_another_run_is_not_ended(tmp_path: Path) -> None:
    seen: list[str] = []

    def behave(request: Sent) -> Said:
        seen.append(request.target)
        return done({"data": {"display_name": "token-esa-6ab0c0de0a0b0c-1", "policies": ["default"]}})

    entry = _entry("token", "accessor-1")
    assert _left(tmp_path, behave, entry) == [entry]
    assert seen == ["/v1/auth/token/lookup-accessor"]


def test_who_has_an_identity_from_elsewhere_keeps_it(tmp_path: Path) -> None:
    """Of two people who logged in at the mount of a run, one is also known by another."""
    aliases = {
        name: {"canonical_id": person, "mount_accessor": accessor}
        for name, person, accessor in (
            ("a", "one", "ours"), ("b", "two", "ours"), ("c", "two", "others"), ("d", "three", "others"),
        )
    }  # fmt: skip
    removed: list[str] = []

    def behave(request: Sent) -> Said:
        if request.method == "DELETE":
            removed.append(request.target)
            return done()
        if request.method == "LIST":
            return done({"data": {"keys": list(aliases), "key_info": aliases}})
        return done({"data": {"accessor": "ours"}}) if len(removed) < 3 else refusing(400)

    assert _left(tmp_path, behave, _entry("auth")) == []
    assert removed == [
        "/v1/identity/entity/id/one", "/v1/identity/entity-alias/id/b", f"/v1/sys/auth/esa-{RUN}-1",
    ]  # fmt: skip


def test_a_limit_of_the_runs_own_that_may_not_be_read_is_gone_when_it_was_removed(tmp_path: Path) -> None:
    def behave(request: Sent) -> Said:
        return done() if request.method == "DELETE" else refusing(403)

    assert _left(tmp_path, behave, _entry("quota")) == []


def test_many_credentials_are_found_through_a_network_that_cuts_every_tenth_connection(
    tmp_path: Path,
) -> None:
    """Of a hundred look-ups in a row one is always cut, however often all are begun anew."""
    entry = _entry("token")
    accessors = {f"accessor-{number}": f"token-esa-other-{number}" for number in range(100)}
    accessors["accessor-of-it"] = f"token-{entry.name}"
    asked: list[str] = []

    def behave(request: Sent) -> Said:
        asked.append(request.target)
        if request.method == "POST" and len(asked) % 10 == 0:
            return Said(cut=True)
        if request.method == "LIST":
            return done({"data": {"keys": list(accessors)}})
        found = accessors.get((body_of(request) or {}).get("accessor", ""))
        return done({"data": {"display_name": found}}) if found else refusing(404)

    assert _left(tmp_path, behave, entry) == []
    assert sum(target.endswith("/revoke-accessor") for target in asked) in {1, 2}


def test_many_namespaces_are_ended_through_a_network_that_cuts_every_tenth_connection(tmp_path: Path) -> None:
    entries = [_entry("namespace", number=number) for number in range(1, 30)]
    there = {entry.name for entry in entries}
    asked: list[str] = []

    def behave(request: Sent) -> Said:
        asked.append(request.target)
        if request.method == "DELETE" and len(asked) % 10 == 0:
            return Said(cut=True)
        name = request.target.rpartition("/")[2]
        if request.method == "DELETE":
            there.discard(name)
        return done({"data": {}}) if name in there else refusing(404)

    assert _left(tmp_path, behave, *entries) == []
    assert there == set()

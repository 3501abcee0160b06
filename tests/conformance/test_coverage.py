# SPDX-License-Identifier: EUPL-1.2
"""The table of coverage is what code and scenarios say, over what the real binary offers."""

from tests.conformance import coverage
from tests.conformance.coverage import COVERED, IMPLEMENTED, OUT, Asked, Operation
from tests.conformance.reference import fetch
from tests.conformance.scenario import Scenario, get, lst, post, put


def test_the_table_is_up_to_date() -> None:
    written = coverage.TABLE.read_text(encoding="utf-8")
    assert written == coverage.render(), "run: python -m tests.conformance.coverage"


def test_the_list_of_operations_is_what_the_real_binary_says() -> None:
    listed = coverage.OPERATIONS.read_text(encoding="utf-8").splitlines()
    assert listed == coverage.described(fetch()), "run: python -m tests.conformance.coverage --fetch"
    assert len(listed) == 741


def test_operations_that_are_known_well_are_judged_rightly() -> None:
    found = coverage.states()
    assert found[Operation("sys/policies/acl/{name}", "PATCH")] == COVERED
    assert found[Operation("sys/tools/random/{source}/{urlbytes}", "POST")] == COVERED
    assert found[Operation("sys/pprof/heap", "GET")] == OUT
    assert found[Operation("kv1/{path}", "DELETE")] in (COVERED, IMPLEMENTED)


def test_a_route_of_ours_takes_places_of_theirs_and_never_their_words() -> None:
    patterns = [pattern for verb, pattern in coverage.ours() if verb == "POST"]

    def there(path: str) -> bool:
        return any(pattern.fullmatch(path.replace("{}", "\0")) for pattern in patterns)

    assert there("sys/namespaces/{}")
    assert there("sys/tools/random/{}/{}")
    assert not there("sys/namespaces/{}/nothing-like-it")
    assert not there("sys/nothing-like-it")


def test_every_operation_that_is_there_is_asked_for() -> None:
    assert [one for one, word in coverage.states().items() if word == IMPLEMENTED] == []


def test_every_reason_to_leave_something_out_is_needed() -> None:
    out = [one for one, word in coverage.states().items() if word == OUT]
    assert {one.reason for one in out} == set(coverage.OUT_OF_SCOPE.values())


def test_requests_are_counted_whatever_the_mount_is_called() -> None:
    known = [
        Operation("kv1/{path}", "GET"),
        Operation("secret/data/{path}", "POST"),
        Operation("auth/userpass/login/{username}", "POST"),
        Operation("sys/mounts/{path}", "POST"),
        Operation("sys/mounts/{path}/tune", "GET"),
    ]
    steps = [
        post("sys/mounts/old/place", {"type": "kv"}),
        post("sys/mounts/new", {"type": "kv", "options": {"version": "2"}}),
        post("sys/auth/people", {"type": "userpass"}),
        lst("old/place/a/b?after=x"),
        put("new/data/a/b", {}),
        post("auth/people/login/{who}", {}),
        get("sys/mounts/a/b/tune"),
        get("nothing/like/it"),
    ]
    assert set(Asked(known).of([Scenario("a", "b", steps)])) == set(known)

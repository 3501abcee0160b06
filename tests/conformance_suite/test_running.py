# SPDX-License-Identifier: EUPL-1.2
"""The runner: which outcome comes of what happens in a test, and which exit code of outcomes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from esa_conformance.areas import all_tests
from esa_conformance.binding.replies import Reply
from esa_conformance.errors import SafetyStop
from esa_conformance.requirements import requirements, with_needed
from esa_conformance.run import profiles as profiles_module
from esa_conformance.run.outcomes import Outcome, Result
from esa_conformance.run.profiles import exit_code, features, profile
from esa_conformance.run.runner import Runner
from esa_conformance.run.state import State
from esa_conformance.run.trial import Trial
from esa_conformance.wire.answer import Answer
from tests.conformance_suite.made import all_results, altered, manifest, result, state
from tests.conformance_suite.stub import Said, Sent, serving

_ALL = frozenset({"read-only", "mutating"})
Body = Callable[[Trial], None]


def _run(
    folder: Path,
    *bodies: Body,
    feature: str = "core",
    expected: str = "",
    behave: Callable[[Sent], Said] = lambda _: Said(),
) -> list[Result]:
    with serving(behave) as (port, _):
        made = manifest(folder, expected={"value_comes_back": expected} if expected else None)
        runner = Runner(state(folder, port, request_s=0.3), made, _ALL)
        return list(runner.run([altered(body, feature=feature) for body in bodies]))


def _in_turn(*bodies: Body) -> Body:
    waiting: Iterator[Body] = iter(bodies)

    def run_next(t: Trial) -> None:
        next(waiting)(t)

    return run_next


def _pass(_: Trial) -> None:
    return None


def _miss(t: Trial) -> None:
    t.must(False, "it holds")


def _cut(t: Trial) -> None:
    t.kv.put("x", {})


def _wrong(_: Trial) -> None:
    raise KeyError("secret")


_OUTCOMES: list[tuple[str, Body, Outcome, str, int]] = [
    ("pass", _pass, Outcome.PASS, "", 1),
    ("warning", lambda t: t.should(False, "it should hold"), Outcome.WARNING, "it should hold", 1),
    ("fail", _miss, Outcome.FAIL, "it holds", 2),
    ("flaky", _in_turn(_miss, _pass), Outcome.FLAKY, "it holds", 2),
    ("unsupported", lambda t: t.served(False, "it is there"), Outcome.UNSUPPORTED, "it is there", 1),
    ("skipped", lambda t: t.need(False, "a secret is written"), Outcome.SKIPPED, "a secret is written", 1),
    ("error", _wrong, Outcome.ERROR, "KeyError in _wrong", 1),
]


@pytest.mark.parametrize(
    ("body", "outcome", "detail", "attempts"),
    [row[1:] for row in _OUTCOMES],
    ids=[row[0] for row in _OUTCOMES],
)
def test_what_happens_in_a_test_is_its_outcome(
    body: Body, outcome: Outcome, detail: str, attempts: int, tmp_path: Path
) -> None:
    (found,) = _run(tmp_path, body)
    assert (found.outcome, found.attempts) == (outcome, attempts)
    assert detail in found.detail
    assert "secret'" not in found.detail


def test_a_cut_connection_begins_the_test_anew_and_is_no_flake(tmp_path: Path) -> None:
    cuts = [3]

    def behave(_: Sent) -> Said:
        cuts[0] -= 1
        return Said(cut=cuts[0] >= 0)

    (found,) = _run(tmp_path, _cut, behave=behave)
    assert (found.outcome, found.attempts) == (Outcome.PASS, 4)


def test_what_fails_while_a_connection_was_cut_is_no_failure(tmp_path: Path) -> None:
    """The request was sent again and had been done before: a use too many, or a wrapped answer that was given already."""
    cuts = [1]

    def behave(_: Sent) -> Said:
        cuts[0] -= 1
        return Said(cut=cuts[0] >= 0)

    def read_and(then: Body) -> Body:
        def read(t: Trial) -> None:
            t.kv.get("x")
            then(t)

        return read

    for number, body in enumerate(
        (_miss, lambda t: t.served(False, "it is there"), lambda t: t.should(False, "it holds"))
    ):
        cuts[0] = 1
        (tmp_path / str(number)).mkdir()
        (found,) = _run(tmp_path / str(number), _in_turn(read_and(body), _pass), behave=behave)
        assert (found.outcome, found.attempts) == (Outcome.PASS, 2)


def test_what_fails_whenever_a_connection_is_cut_is_a_failure(tmp_path: Path) -> None:
    """As it may be that the server cuts it."""
    asked = [0]

    def behave(_: Sent) -> Said:
        asked[0] += 1
        return Said(cut=asked[0] % 2 == 1)

    def read(t: Trial) -> None:
        t.must(t.kv.get("x").status == 404, "it is gone")

    (found,) = _run(tmp_path, read, behave=behave)
    assert (found.outcome, found.detail) == (Outcome.FAIL, "does not hold: it is gone")


def test_connections_that_are_always_cut_are_an_error(tmp_path: Path) -> None:
    (found,) = _run(tmp_path, _cut, behave=lambda _: Said(cut=True))
    assert found.outcome is Outcome.ERROR


def test_two_answers_in_a_row_that_are_too_late_end_the_run(tmp_path: Path) -> None:
    def late(_: Sent) -> Said:
        time.sleep(0.5)
        return Said()

    found = _run(tmp_path, _cut, _cut, _pass, behave=late)
    assert [one.outcome for one in found] == [Outcome.ERROR] * 3
    assert (found[2].attempts, found[2].detail) == (0, "not run: the server answers too late")


def test_a_listed_failure_is_expected_and_a_listed_pass_is_not(tmp_path: Path) -> None:
    (failed,) = _run(tmp_path, _miss, expected="issue 7")
    assert (failed.outcome, failed.detail) == (Outcome.EXPECTED_FAILURE, "does not hold: it holds [issue 7]")
    (tmp_path / "journal").unlink()
    (passed,) = _run(tmp_path, _pass, expected="issue 7")
    assert (passed.outcome, passed.unexpected) == (Outcome.PASS, True)


def test_a_class_that_is_not_allowed_is_disabled_and_an_input_that_is_missing_an_error(
    tmp_path: Path,
) -> None:
    with serving(lambda _: Said()) as (port, _):
        runner = Runner(state(tmp_path, port), manifest(tmp_path), frozenset({"read-only"}))
        (disabled,) = runner.run([altered(_pass)])
        runner = Runner(state_of_nobody(tmp_path, port), manifest(tmp_path), _ALL)
        (missing, not_claimed) = runner.run([altered(_pass), altered(_pass, name="uses_are_counted")])
    assert (disabled.outcome, missing.outcome, not_claimed.outcome) == (
        Outcome.DISABLED,
        Outcome.ERROR,
        Outcome.DISABLED,
    )


def state_of_nobody(folder: Path, port: int) -> State:
    """A run without any credential."""
    (folder / "journal").unlink()
    made = state(folder, port)
    made.callers.clear()
    return made


def test_what_must_not_be_sent_ends_the_run(tmp_path: Path) -> None:
    def stop(_: Trial) -> None:
        raise SafetyStop("read-only mode")

    with pytest.raises(SafetyStop):
        _run(tmp_path, stop)


def test_a_value_is_equal_as_json_has_it(tmp_path: Path) -> None:
    cases = [(True, 1), (0, False), ({"a": 1}, {"a": True}), ([1], [1, 2]), ("1", 1)]
    found = _run(tmp_path, *(lambda t, a=a, b=b: t.equal(a, b, "equal") for a, b in cases))
    assert {one.outcome for one in found} == {Outcome.FAIL}
    (tmp_path / "journal").unlink()
    (same,) = _run(tmp_path, lambda t: t.equal({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, "equal"))
    assert same.outcome is Outcome.PASS


def test_a_test_writes_only_below_names_of_its_run(tmp_path: Path) -> None:
    def write(t: Trial) -> None:
        t.kv.put(t.secret_below("team-a", "x"), {})

    (found,) = _run(tmp_path, write)
    assert (found.outcome, found.detail) == (Outcome.ERROR, "a test wants to write where it must not")


# ---------------------------------------------------------------------------------------- profiles, exit code
def _code(results: list[Result], *claim: str, told: frozenset[str] = frozenset()) -> int:
    found = features(results, told)
    return exit_code(results, [profile(name, results, found) for name in with_needed(claim)])


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("pass", 0), ("warning", 0), ("fail", 1), ("expected-failure", 0), ("unsupported", 1), ("disabled", 6), ("skipped", 1),
        ("flaky", 1), ("error", 3),
    ],
)  # fmt: skip
def test_an_outcome_of_core_decides_on_the_claim(outcome: str, code: int) -> None:
    results = all_results(one_winner=outcome)
    assert _code(results, "kv-consume") == code
    stands = profile("kv-consume", results, []).result == "success"
    assert stands == (outcome in {"pass", "warning"})


def test_what_was_left_out_is_no_failure_and_proves_nothing() -> None:
    results = all_results(one_winner="disabled")
    assert _code(results, "kv-consume") == 6
    assert profile("kv-consume", results, []).result == "partial"
    less = [one for one in all_results() if one.test.id in {"one_winner", "value_comes_back"}]
    assert _code(less, "kv-consume") == 6
    assert exit_code(all_results(), []) == 0


def test_what_fails_is_a_failure_also_where_not_all_was_judged() -> None:
    assert _code(all_results(one_winner="disabled", value_comes_back="fail"), "kv-consume") == 1
    assert _code(all_results(one_winner="disabled", value_comes_back="expected-failure"), "kv-consume") == 6


def test_a_claim_needs_the_profiles_below_it() -> None:
    assert _code(all_results(one_winner="fail"), "identity") == 1
    assert _code(all_results(uses_are_counted="fail"), "kv-consume") == 0


def test_a_provisional_test_ends_no_claim() -> None:
    assert _code(all_results(change_is_recorded="fail"), "log") == 0


@pytest.mark.parametrize(
    ("test", "name", "expected"),
    [
        ("change_is_recorded", "log", "partial"),
        ("credential_is_unknown_elsewhere", "X-ns", "success"),  # of a SHOULD
    ],
)
def test_a_must_that_a_provisional_test_finds_missed_is_no_success(
    test: str, name: str, expected: str
) -> None:
    results = all_results(**{test: "fail"})
    assert profile(name, results, features(results, frozenset())).result == expected
    passed = all_results()
    assert profile(name, passed, features(passed, frozenset())).result == "success"


def test_a_profile_of_which_nothing_passes_is_no_success() -> None:
    left = [one for one in all_results() if one.test.feature != "namespaces"]
    of = profile("X-ns", left, [])
    assert (of.result, of.reasons[-1]) == ("partial", "no test of its core passes")
    whole = all_results()
    assert profile("X-ns", whole, features(whole, frozenset())).core[Outcome.PASS] == 2


def test_what_was_not_handed_over_does_not_count_where_one_kind_of_evidence_is_enough() -> None:
    results = all_results(
        second_unwrapping_is_in_the_file="disabled", unchanged_read_is_in_the_file="disabled"
    )
    found = features(results, frozenset())
    assert profile("X-wrap", results, found).result == "success"
    assert [one.inferred for one in found if one.name == "etag"] == [True]
    alone = [
        one for one in results if one.test.requirements[0] != "ESA-WRP-001" or one.test.evidence != "http"
    ]
    assert profile("X-wrap", alone, features(alone, frozenset())).result == "partial"


def test_evidence_that_is_needed_together_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = replace(requirements()["ESA-WRP-001"], evidence=("http+artefact",))
    monkeypatch.setattr(profiles_module, "requirements", lambda: {**requirements(), "ESA-WRP-001": wanted})
    results = all_results(second_unwrapping_is_in_the_file="disabled")
    assert profile("X-wrap", results, features(results, frozenset())).result == "partial"


def test_what_is_found_and_not_told_is_claimed_only_of_a_server_that_tells_nothing() -> None:
    results = all_results()

    def etag(*told: str) -> tuple[bool, bool | None, bool]:
        (one,) = [one for one in features(results, frozenset(told)) if one.name == "etag"]
        return one.told, one.inferred, one.claimed

    assert [etag(), etag("patch"), etag("etag")] == [
        (False, True, True), (False, True, False), (True, True, True),
    ]  # fmt: skip
    of = profile("X-wrap", results, features(results, frozenset({"etag"})))
    assert (of.result, of.reasons) == ("partial", ("wrap: belongs to the profile, and is not claimed",))


def test_a_feature_that_is_told_and_does_not_hold_fails_its_profile() -> None:
    results = all_results(structure_has_no_value="unsupported")
    assert _code(results, "kv-consume") == 0
    assert _code(results, "kv-consume", told=frozenset({"subkeys"})) == 1


def test_a_profile_that_has_a_feature_always_fails_without_it() -> None:
    results = all_results(wrapped_answer_is_given_once="unsupported")
    assert profile("X-wrap", results, features(results, frozenset())).result == "failure"
    assert _code(results, "X-wrap") == 1


def test_an_expected_failure_that_passes_is_told_by_the_exit_code() -> None:
    results = [*all_results()[1:], result(all_tests()[0].id, "pass", unexpected=True)]
    assert _code(results, "kv-consume") == 1


def test_a_feature_without_test_is_neither_found_nor_not() -> None:
    (found,) = [one for one in features(all_results(), frozenset({"devices"})) if one.name == "devices"]
    assert (found.told, found.inferred, found.claimed) == (True, None, False)


def test_who_only_uses_secrets_is_asked_nothing_for_which_an_administrator_is_needed() -> None:
    of = profile("kv-consume", all_results(), [])
    assert sum(of.core.values()) == sum(
        test.core and not test.provisional and "admin" not in test.needs and _is_kv(test.requirements[0])
        for test in all_tests()
    )


def _is_kv(name: str) -> bool:
    return requirements()[name].profile == "kv-consume"


def test_a_reply_shows_nothing_of_its_answer() -> None:
    assert "secret" not in repr(Reply(Answer(200, {"x": "secret"}, b"secret")))

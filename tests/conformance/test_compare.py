# SPDX-License-Identifier: EUPL-1.2
"""The comparison finds what differs, and only that."""

import json

import pytest

from tests.conformance.compare import difference, view
from tests.conformance.divergences import ANSWER, ERROR_TEXT, KINDS, STATUS
from tests.conformance.normalise import Normaliser
from tests.conformance.play import judge, late
from tests.conformance.scenario import Step, get
from tests.conformance.wire import Answer

BODY: dict[str, object] = {
    "request_id": "0b0e6c2f-6c0a-4b3c-9d6b-6f2f3c1d2e4f",
    "errors": ["permission denied"],
    "flag": True,
    "ttl": 3600,
    "created_time": "2026-01-02T03:04:05.123456789Z",
    "accessor": "kv_0123abcd",
    "token": "s.aB3aB3aB3aB3aB3aB3aB3aB3",
    "again": "s.aB3aB3aB3aB3aB3aB3aB3aB3",
}
OTHER = {
    "request_id": "1b0e6c2f-6c0a-4b3c-9d6b-6f2f3c1d2e4f",
    "ttl": 3598,
    "created_time": "2027-01-02T03:04:05.987654321Z",
    "accessor": "kv_99999999",
    "token": "s.ZZ9ZZ9zz9ZZ9ZZ9ZZ9ZZ9ZZ9",
    "again": "s.ZZ9ZZ9zz9ZZ9ZZ9ZZ9ZZ9ZZ9",
}
PLAIN = get("x")


def answer(body: object, status: int = 200, end: str = "\n", **headers: str) -> Answer:
    return Answer(status, headers, (json.dumps(body) + end).encode())


def compared(left: Answer, right: Answer, step: Step = PLAIN) -> str:
    theirs, ours = (view(one, step, Normaliser("127.0.0.1:1", "/nowhere")) for one in (left, right))
    return difference(step, theirs, ours)


def test_answers_that_differ_only_in_ids_times_and_a_running_ttl_are_equal() -> None:
    assert compared(answer(BODY), answer(BODY | OTHER)) == ""


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("768h", "767h59m58s", True),
        ("1m", "59s", True),
        ("768h", "767h59m", False),
        ("768h", "768h;", False),
    ],
)
def test_a_warning_may_tell_of_a_life_that_is_a_few_seconds_shorter(
    one: str, other: str, equal: bool
) -> None:
    text = 'TTL of "9000h" exceeded the effective max_ttl of "{}"; TTL value is capped accordingly'
    left, right = (answer({"warnings": [text.format(life)]}) for life in (one, other))
    assert (compared(left, right) == "") is equal


@pytest.mark.parametrize(
    ("found", "equal"), [({"flag": False}, True), ({"flag": "false"}, False), ({"ttl": 1}, False)]
)
def test_of_a_passing_key_only_the_value_may_differ(found: dict[str, object], equal: bool) -> None:
    step = get("x", passing=("flag",))
    assert (compared(answer(BODY), answer(BODY | found), step) == "") is equal
    assert compared(answer(BODY), answer({key: BODY[key] for key in BODY if key != "flag"}), step)


@pytest.mark.parametrize(
    "change",
    [
        {"errors": ["permission denied "]},
        {"errors": []},
        {"flag": 1},
        {"flag": "true"},
        {"ttl": 3500},
        {"ttl": 0},
        {"ttl": "3600"},
        {"created_time": "2026-01-02T03:04:05Z"},
        {"created_time": "2026-01-02T03:04:05.123456789+01:00"},
        {"created_time": "2026-01-02 03:04:05.123456789Z"},
        {"accessor": "kv_0123abc"},
        {"accessor": "cubbyhole_0123abcd"},
        {"token": "s.short"},
        {"again": "s.ZZ9ZZ9zz9ZZ9ZZ9ZZ9ZZ9ZZ9"},
        {"request_id": ""},
        {"more": None},
    ],
    ids=str,
)
def test_a_difference_in_value_type_format_or_identity_is_found(change: dict[str, object]) -> None:
    assert compared(answer(BODY), answer(BODY | change))


@pytest.mark.parametrize(
    ("waited", "equal"), [(0.0, False), (7.0, False), (8.0, True)], ids=["at once", "less", "as long"]
)
def test_what_a_slow_step_made_may_be_as_much_older(waited: float, equal: bool) -> None:
    theirs, ours = (
        view(
            answer({"ttl": ttl, "warnings": [f'max_ttl of "{text}"']}), PLAIN, Normaliser("127.0.0.1:1", "/x")
        )
        for ttl, text in ((3600, "1h"), (3587, "59m47s"))
    )
    assert (difference(PLAIN, theirs, ours, waited) == "") is equal


@pytest.mark.parametrize(
    ("time", "equal"),
    [
        ("2027-01-02T03:04:05.987Z", True),
        ("2027-01-02T03:04:05Z", True),
        ("2027-01-02T03:04:05+01:00", False),
        ("2027-01-02 03:04:05Z", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("name", ["install_time", "creation_time", "time"])
def test_a_time_in_milliseconds_may_end_with_its_second(name: str, time: str, equal: bool) -> None:
    theirs, ours = (answer({name: each}) for each in (BODY["created_time"], time))
    assert (compared(theirs, ours) == "") is equal


def test_a_missing_key_is_found() -> None:
    assert compared(answer(BODY), answer({key: value for key, value in BODY.items() if key != "flag"}))


def test_status_headers_and_the_last_newline_are_compared() -> None:
    assert compared(answer(BODY), answer(BODY, status=201))
    assert compared(answer(BODY, vary="a"), answer(BODY, vary="b"))
    assert compared(answer(BODY, vary="a"), answer(BODY))
    assert compared(answer(BODY), answer(BODY, end=""))
    assert compared(Answer(204, {}, b""), answer({}, status=204))


def test_our_entity_tags_are_left_out_and_no_others() -> None:
    tagged = answer(BODY, etag='"v1.18eca82dc84610d8.a"')
    assert compared(answer(BODY), tagged) == ""
    assert compared(answer(BODY), answer(BODY, etag='"v2.18eca82dc84610d8.d3.18eca82dc8eeef50"')) == ""
    assert compared(answer(BODY), tagged, get("x", divergence="DV-38"))
    assert compared(answer(BODY), answer(BODY, etag='"5d41402abc4b2a76b9719d911017c592"'))
    assert compared(answer(BODY), answer(BODY, vary='"v1.18eca82dc84610d8.a"'))


def test_numbers_are_compared_by_their_spelling() -> None:
    assert compared(Answer(200, {}, b"[1.0]\n"), Answer(200, {}, b"[1]\n"))
    assert compared(Answer(200, {}, b"[-0]\n"), Answer(200, {}, b"[0]\n"))
    assert compared(Answer(200, {}, b"[1e21]\n"), Answer(200, {}, b"[1e+21]\n"))


def test_a_picked_path_hides_the_rest_but_never_an_error() -> None:
    step = get("x", pick=("flag",))
    assert compared(answer(BODY), answer({"flag": True}), step) == ""
    assert compared(answer(BODY), answer({"flag": False}), step)
    assert compared(answer({"errors": ["a"]}, 400), answer({"errors": ["b"]}, 400), step)


def test_order_counts_unless_the_step_says_otherwise() -> None:
    left, right = answer({"keys": ["a", "b"]}), answer({"keys": ["b", "a"]})
    assert compared(left, right)
    assert compared(left, right, get("x", unordered=("keys",))) == ""


def test_a_shape_keeps_keys_and_types_only() -> None:
    step = get("x", shape=1)
    assert compared(answer({"help": "a"}), answer({"help": "b"}), step) == ""
    assert compared(answer({"help": "a"}), answer({"help": None}), step)
    assert compared(answer({"help": "a"}), answer({"text": "a"}), step)


def test_in_a_shape_a_number_is_a_number_with_or_without_a_fraction() -> None:
    step = get("x", shape=1)
    assert compared(answer({"user": 12}), answer({"user": 12.5}), step) == ""
    assert compared(answer({"user": 12.5}), answer({"user": "12.5"}), step)
    assert compared(answer({"user": 1}), answer({"user": True}), step)


def judged(kind: str, left: Answer, right: Answer) -> str:
    named = get("x", divergence="DV-99")
    expected, found = (view(one, named, Normaliser("127.0.0.1:1", "/nowhere")) for one in (left, right))
    return judge(named, expected, found, kind)


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        (ERROR_TEXT, answer({"errors": ["b"]}, 400)),
        (STATUS, answer({"errors": []}, 404)),
        (ANSWER, answer({"data": 1})),
    ],
)
def test_a_divergence_may_differ_in_what_it_declares(kind: str, right: Answer) -> None:
    assert judged(kind, answer({"errors": ["a"]}, 400), right) == ""


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        (ERROR_TEXT, answer({"errors": ["b"]}, 403)),
        (ERROR_TEXT, answer({"errors": []}, 400)),
        (ERROR_TEXT, answer({"errors": ["b"]}, 400, vary="a")),
        (STATUS, answer({"errors": ["b"], "data": 1}, 404)),
        (STATUS, answer({"data": 1})),
        ("", answer({"errors": ["b"]}, 400)),
    ],
)
def test_a_divergence_may_differ_in_nothing_else(kind: str, right: Answer) -> None:
    assert judged(kind, answer({"errors": ["a"]}, 400), right)


@pytest.mark.parametrize("kind", KINDS)
def test_a_divergence_must_differ(kind: str) -> None:
    assert "DV-99" in judged(kind, answer(BODY), answer(BODY))


def test_what_a_divergent_answer_shows_shifts_no_later_number() -> None:
    known = Normaliser("127.0.0.1:1", "/nowhere")
    first = "0b0e6c2f-6c0a-4b3c-9d6b-6f2f3c1d2e4f"
    known.text(first)
    aside = known.copy()
    assert aside.text(first) == "<uuid#1>"
    assert aside.text("1b0e6c2f-6c0a-4b3c-9d6b-6f2f3c1d2e4f") == "<uuid#2>"
    assert known.text("2b0e6c2f-6c0a-4b3c-9d6b-6f2f3c1d2e4f") == "<uuid#2>"


def test_an_answer_that_never_comes_is_a_problem_even_on_both_servers() -> None:
    ready, other = answer({"status": "success"}), answer({"errors": []}, 404)
    awaited = (get("x", settle_on="success"), get("x", settle=200))
    assert [late(step, ready, ready) for step in awaited] == ["", ""]
    for step in awaited:
        assert late(step, other, other).endswith("reference and subject")
        assert late(step, ready, other).endswith(": subject")


@pytest.mark.parametrize(
    ("path", "theirs", "ours", "equal"),
    [
        ("identity/oidc/.well-known/keys", "max-age=75273", "no-store", True),
        ("identity/oidc/provider/p/.well-known/keys", "max-age=1", "no-store", True),
        ("identity/oidc/.well-known/keys", "no-store", "no-store", True),
        ("identity/oidc/.well-known/keys", "no-store", "max-age=75273", False),
        ("identity/oidc/.well-known/keys", "max-age=3600", "max-age=3600", False),
        ("identity/oidc/.well-known/keys", "private", "no-store", False),
        ("identity/oidc/.well-known/openid-configuration", "max-age=3600", "no-store", False),
    ],
)
def test_signing_keys_may_be_kept_at_the_reference_once_its_job_has_seen_them(
    path: str, theirs: str, ours: str, equal: bool
) -> None:
    reference, subject = (Answer(200, {"cache-control": caching}, b"{}\n") for caching in (theirs, ours))
    assert (compared(reference, subject, get(path)) == "") == equal

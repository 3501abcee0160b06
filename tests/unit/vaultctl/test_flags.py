# SPDX-License-Identifier: EUPL-1.2
"""Flags are parsed as `bao` parses them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultctl.errors import UsageError
from vaultctl.flags import Flag, environment_value, parse, parse_duration, parse_moment, wanted_format
from vaultctl.text.go import duration_text, human_duration

_FLAGS = [
    Flag("name", "text", "A text."),
    Flag("version", "int", "A number."),
    Flag("force", "bool", "A truth."),
    Flag("ttl", "duration", "A duration."),
    Flag("policy", "texts", "Texts."),
    Flag("meta", "pairs", "Pairs."),
    Flag("versions", "list", "A list."),
]


def test_one_dash_and_two_dashes_and_both_ways_to_give_a_value_are_equal() -> None:
    for argv in (["-name=x"], ["--name=x"], ["-name", "x"], ["--name", "x"]):
        assert parse(_FLAGS, argv) == ({"name": "x"}, [])


def test_flags_may_stand_behind_arguments() -> None:
    assert parse(_FLAGS, ["-force", "path", "-name=x", "a=-b", "-version", "2"]) == (
        {"force": True, "name": "x", "version": 2},
        ["path", "a=-b"],
    )


def test_a_command_may_have_no_flags_behind_its_first_argument() -> None:
    argv = ["-name", "x", "machine", "-p", "22", "-name=y", "--", "ls"]
    assert parse(_FLAGS, argv, ends=True) == ({"name": "x"}, ["machine", "-p", "22", "-name=y", "--", "ls"])


def test_a_mistyped_flag_is_told_the_nearest_and_a_long_one_is_not_compared() -> None:
    with pytest.raises(UsageError, match=r"defined: -verison; did you mean -version\?$"):
        parse(_FLAGS, ["-verison=1"])
    with pytest.raises(UsageError, match=r"defined: -qqq$"):
        parse(_FLAGS, ["-qqq"])
    with pytest.raises(UsageError, match=r"x$"):
        parse(_FLAGS, ["-" + "x" * 100_000])


def test_a_single_dash_is_an_argument_and_two_dashes_end_the_flags() -> None:
    assert parse(_FLAGS, ["-"]) == ({}, ["-"])
    assert parse(_FLAGS, ["--", "-force"]) == ({}, ["-force"])
    assert parse(_FLAGS, ["a", "--", "-force", "--"]) == ({}, ["a", "-force", "--"])


def test_a_truth_never_takes_the_next_word() -> None:
    assert parse(_FLAGS, ["-force", "false"]) == ({"force": True}, ["false"])
    assert parse(_FLAGS, ["-force=false"]) == ({"force": False}, [])


def test_repeated_flags_collect() -> None:
    values, _ = parse(
        _FLAGS, ["-policy=a", "-policy=b,c", "-meta=k=v=w", "-meta=l=", "-versions=1,2", "-versions=3"]
    )
    assert values == {"policy": ["a", "b,c"], "meta": {"k": "v=w", "l": ""}, "versions": ["1", "2", "3"]}


@pytest.mark.parametrize(
    "word",
    [
        "-nope",
        "-name",
        "-version=hunter2",
        "-force=hunter2",
        "-ttl=hunter2",
        "-meta=hunter2",
        "---name=x",
        "-=x",
    ],
)
def test_a_wrong_flag_is_refused_without_repeating_its_value(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(_FLAGS, [word])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("30s", 30),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("-1", -1),
        ("0", 0),
        ("3h25m19s", 12319),
        ("-2m", -120),
        ("+1h", 3600),
        ("2d", 172_800),
        ("", 0),
    ],
)
def test_durations_are_seconds_or_go_durations(text: str, seconds: int) -> None:
    assert parse_duration(text, "ttl") == seconds * 10**9


@pytest.mark.parametrize(
    "text",
    [
        "s",
        "1x",
        "1",
        "h1",
        "1..5s",
        "-",
        "1h 2m",
        "--1h",
        "²",
        "1h²m",
        "1d12h",
        "1.5d",
        "d",
        "9999999999999h",
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    if text == "1":
        assert parse_duration(text, "ttl") == 10**9
        return
    with pytest.raises(UsageError):
        parse_duration(text, "ttl")


@given(st.integers(min_value=0, max_value=10**18))
def test_a_printed_duration_reads_back(nanoseconds: int) -> None:
    assert parse_duration(duration_text(nanoseconds), "ttl") == nanoseconds


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_for_people_reads_back(seconds: int) -> None:
    assert parse_duration(human_duration(seconds), "ttl") == seconds * 10**9


@given(st.lists(st.text()))
def test_no_command_line_breaks_the_parser(argv: list[str]) -> None:
    try:
        _, rest = parse(_FLAGS, argv)
    except UsageError:
        return
    assert rest == argv[len(argv) - len(rest) :]


def test_the_format_is_found_anywhere_and_in_any_case() -> None:
    assert wanted_format(["a", "-format=JSON"], "") == "json"
    assert wanted_format(["--format", "yaml", "a"], "json") == "yaml"
    assert wanted_format([], "json") == "json"
    assert wanted_format([], "") == "table"


def test_a_bao_variable_wins_even_when_it_is_empty() -> None:
    assert environment_value({"BAO_ADDR": "", "VAULT_ADDR": "x"}, "ADDR") == ""
    assert environment_value({"VAULT_ADDR": "x"}, "ADDR") == "x"
    assert environment_value({"BAO_ADDR": "y", "VAULT_ADDR": "x"}, "ADDR") == "y"
    assert environment_value({}, "ADDR") == ""


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("+3", 3), ("-3", -3), ("010", 10), ("", 0)])
def test_whole_numbers_are_decimal_as_for_bao(text: str, number: int) -> None:
    assert parse([Flag("version", "int", "")], [f"-version={text}"]) == ({"version": number}, [])


@pytest.mark.parametrize("text", ["0x1", "1_0", " 1", "1.0", "-", "²", "9223372036854775808", "9" * 5000])
def test_anything_else_is_no_whole_number(text: str) -> None:
    with pytest.raises(UsageError, match=r"^invalid value for flag -version: a whole number is needed$"):
        parse([Flag("version", "int", "")], [f"-version={text}"])


def test_a_moment_is_a_time_a_day_or_so_long_ago() -> None:
    assert parse_moment("2026-12-01T00:00:00+01:00", "since") == "2026-12-01T00:00:00+01:00"
    assert parse_moment("2026-12-01", "since") == "2026-12-01T00:00:00Z"
    moment = datetime.fromisoformat(parse_moment("2h", "since"))
    ago = datetime.now(UTC) - moment
    assert timedelta(hours=2) <= ago < timedelta(hours=2, minutes=5)
    for wrong in ("tuesday", "9" * 18 + "h"):
        with pytest.raises(UsageError, match="-since: a duration is needed, such as 24h, or a time"):
            parse_moment(wrong, "since")

# SPDX-License-Identifier: EUPL-1.2
"""What others named and wrote reaches nobody's terminal as control characters, also through a pipe.

Each command of the other tests is run again against answers in which every text has escape sequences in it, and
against refusals and warnings that are made of them.
"""

import io
import shlex
import unicodedata
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Answer, Case, Shown, Theatre, theatre
from tests.cli.recorded import CASES
from vaultctl.text.terminal import emit, on_one_line, visible
from vaultctl.tree.lookup import all_commands, find_command

HOSTILE = "\x1b]0;owned\x07\x9b2J\r\x7f\u202edlo"
_KEPT = {"\n", "\t"}


_LINES = (
    "audit checkpoints a-b-c", "audit devices", "audit export", "audit hash -", "audit holds lift a", "audit holds list", "audit holds place a", "audit prove -o=proof a-b-c:1", "audit purge -before=1h", "audit query", "audit segments",
    "audit show a-b-c:1", "audit status", "audit tail",
    "crypto inventory", "crypto inventory -profile=bsi", "env export secret/x", "env import secret/x -", "run secret/x -- no-such-program", "hsm rewrap a", "identity explain a", "kv scan secret/", "namespace list", "namespace lock a", "namespace lookup a",
    "namespace patch a", "namespace scan", "namespace unlock a", "nhi approve -id=a", "nhi attenuate", "nhi credentials", "nhi failures",
    "nhi inspect", "nhi issue a", "nhi register a", "nhi report", "nhi revoke -token-id=a -dry-run", "nhi tree a",
    "nhi workload delete a", "nhi workload list", "nhi workload read a", "nhi workload write a", "operator rekey -init",
    "operator rotate", "operator rotate-root", "operator seal-slots add a", "operator seal-slots demote a",
    "operator seal-slots list", "operator seal-slots promote a", "operator seal-slots remove a",
    "operator seal-slots rewrap a", "operator seal-slots verify a", "operator snapshot status", "policy explain a", "policy read a",
    "port back -from=http://127.0.0.1:1 -journal=j", "port export -plain -unsigned a", "port import -unsigned a",
    "port move -from=http://127.0.0.1:1 -journal=j", "port verify -from=http://127.0.0.1:1",
    "ssh -mode=otp -role=a -no-exec a@127.0.0.1",
    "transit import a/keys/b -", "transit import-version a/keys/b -",
)  # fmt: skip
"""Commands without a case of their own."""
_NAMED = {
    "name": "a",
    "path": "a/",
    "id": "a",
    "state": "a",
    "owner": "a",
    "type": "a",
    "error": "a",
    "reason": "a",
}
_ANYTHING: dict[str, Any] = {
    **_NAMED, "keys": ["a"], "key_info": {"a": _NAMED}, "slots": [_NAMED], "nodes": [_NAMED], "blocks": [_NAMED],
    "credentials": [_NAMED], "workloads": [_NAMED], "policies": ["a"], "verdicts": [_NAMED], "policy": "a",
    "unlock_key": "a", "block": "a", "token": "a", "sources": [_NAMED], "aliases": [_NAMED], "groups": [_NAMED],
    "orphans": [_NAMED], "inventory": [{**_NAMED, "algorithm": "a", "check": {"findings": [{**_NAMED, "level": "warning"}]}}], "findings": [_NAMED], "term": 1, "n": 1, "t": 1, "progress": 0, "required": 1, "nonce": "a",
}  # fmt: skip


class _Always(dict[str, tuple[int, object]]):
    """The same answer to whatever is asked."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__({"": (status, body)})

    def get(self, asked: str, default: object = None) -> Any:
        return self[""]


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def signs(text: str) -> set[str]:
    """The control characters and turns of direction in a text, but for line feeds and tabs."""
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return {
        one
        for one in text
        if one not in _KEPT and (unicodedata.category(one) == "Cc" or unicodedata.bidirectional(one) in turns)
    }


def hostile(value: Any) -> Any:
    """A JSON value with the signs in each of its texts and names."""
    if isinstance(value, dict):
        also = {f"x{HOSTILE}": f"y{HOSTILE}\n{HOSTILE}"}
        return {key: hostile(item) for key, item in value.items()} | also
    if isinstance(value, list):
        return (
            [*map(hostile, value), f"z{HOSTILE}"]
            if value and isinstance(value[0], str)
            else [*map(hostile, value)]
        )
    return value + HOSTILE if isinstance(value, str) else value


def exact(case: Case) -> bool:
    """Whether the case asks for one value or for a text as it was written, which stay as they are."""
    return case.line.startswith(("policy read", "env export")) or any(
        word.startswith(("-field", "-format=raw", "-token-only")) for word in shlex.split(case.line)
    )


def check(shown: Shown, case: Case) -> None:
    assert signs(shown.stderr) == set(), shown.stderr
    if not exact(case):
        assert signs(shown.stdout) == set(), shown.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.line))
def test_no_answer_moves_a_terminal(
    case: Case, stage: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answers: dict[str, Answer] = {
        asked: (given[0], hostile(given[1])) for asked, given in case.answers.items()
    }
    check(stage.by_vaultctl(replace(case, answers=answers), tmp_path), case)
    refused: dict[str, Answer] = {
        asked: (400, {"errors": [HOSTILE, f"b\n{HOSTILE}"]}) for asked in case.answers
    }
    check(stage.by_vaultctl(replace(case, answers=refused), tmp_path), case)
    warned: dict[str, Answer] = {
        asked: (status, {**body, "warnings": [HOSTILE]} if isinstance(body, dict) else body)
        for asked, (status, body, *_) in case.answers.items()
    }
    check(stage.by_vaultctl(replace(case, answers=warned), tmp_path), case)


@pytest.mark.parametrize("line", _LINES)
def test_no_answer_at_all_moves_a_terminal(
    line: str, stage: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = [_NAMED]
    for body in ({"data": _ANYTHING}, {"data": listed}, {"data": {"keys": ["a"]}}):
        case = Case(line, _Always(200, hostile(body) | {"warnings": [HOSTILE]}))
        check(stage.by_vaultctl(case, tmp_path), case)
    case = Case(line, _Always(400, {"errors": [HOSTILE]}))
    check(stage.by_vaultctl(case, tmp_path), case)


def test_every_command_that_asks_a_server_is_among_them() -> None:
    run = {find_command(shlex.split(line))[0] for line in (*(case.line for case in CASES), *_LINES)}
    assert sorted(one.name for one in all_commands() if one.remote and one not in run) == []


def test_a_single_value_stays_as_it_is(stage: Theatre, tmp_path: Path) -> None:
    answer = {"data": {"data": {"a": HOSTILE}, "metadata": {}}}
    case = Case("kv get -field=a secret/x", {"GET /v1/secret/data/x": (200, answer)})
    assert stage.by_vaultctl(case, tmp_path).stdout == HOSTILE


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_stays_as_it_is_does_nothing_to_a_terminal() -> None:
    terminal, pipe = _Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        emit(stream, f"a{HOSTILE}", "")
    assert (signs(terminal.getvalue()), pipe.getvalue()) == (set(), f"a{HOSTILE}")


def test_a_name_never_begins_a_row_of_its_own(stage: Theatre, tmp_path: Path) -> None:
    listed = {"data": {"keys": ["a", "b\nfake\tc"]}}
    shown = stage.by_vaultctl(Case("list kv1/", {"GET /v1/kv1?list=true": (200, listed)}), tmp_path)
    assert shown.stdout.splitlines() == ["Keys", "----", "a", r"b\nfake\tc"]
    answer = {"data": {"a\nb": "c\nd"}}
    shown = stage.by_vaultctl(Case("read x", {"GET /v1/x": (200, answer)}), tmp_path)
    assert shown.stdout.splitlines()[2:] == [r"a\nb    c", "d"]


def test_plain_text_is_the_same_object() -> None:
    text = "plain, ümläut, 日本語, 👍"
    assert visible(text) == on_one_line(text) == text
    assert visible("👩\u200d💻 a\u00a0b\n\tc") == "👩\u200d💻 a\u00a0b\n\tc"

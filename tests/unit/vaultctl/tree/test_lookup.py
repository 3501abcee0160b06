# SPDX-License-Identifier: EUPL-1.2
"""Every declared command exists, has help, completes; start-up stays small."""

import importlib
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from vault.server.config.flags import Options
from vaultctl.commands.completion.script import SERVER_FLAGS, _bash, _fish
from vaultctl.flags import parse
from vaultctl.tree.command import Command, flags_of
from vaultctl.tree.examples import lines
from vaultctl.tree.help import command_help, group_help, meant
from vaultctl.tree.lookup import GROUPS, all_commands, find_command

_CLI = Path(__file__).parents[4] / "cli"


@pytest.mark.parametrize("command", all_commands(), ids=lambda command: str(command.name))
def test_a_command_is_found_has_a_function_and_help(command: Command) -> None:
    assert find_command([*command.name.split(), "-x", "y"]) == (command, ["-x", "y"])
    module, _, function = command.function.partition(":")
    assert callable(getattr(importlib.import_module(f"vaultctl.commands.{module}"), function))
    text = command_help(command)
    assert f"vaultctl {command.name}" in text
    names = [flag.name for flag in flags_of(command)]
    assert len(names) == len(set(names))
    assert all(f"  -{name}" in text for name in names)


def test_groups_list_their_commands() -> None:
    for group in GROUPS:
        assert find_command([*group.split(), "nonsense"]) == (None, group.split())
        assert "Subcommands:" in group_help(group.split())
    assert "kv" in group_help([])


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_each_group_has_two_or_three_examples_of_its_commands(group: str) -> None:
    shown = [line.removeprefix("  $ ") for line in group_help(group.split()).splitlines() if "  $ " in line]
    assert 2 <= len(shown) <= 3
    for line in shown:
        command, _ = find_command(shlex.split(line.split("vaultctl ", 1)[1]))
        assert command is not None and command.name.startswith(group)


def test_a_mistyped_command_is_guessed() -> None:
    assert meant(["kv"], ["gte"]) == "kv get"
    assert meant(["policy"], ["explian"]) == "policy explain"
    assert meant(["audit"], ["zz"]) == ""  # the group's own name makes nothing near
    assert meant([], ["zzzzzz"]) == ""


def test_completion_knows_every_command_and_flag() -> None:
    for script in (_bash(), _fish()):
        for command in all_commands():
            assert command.name.rpartition(" ")[2] in script
            assert all(flag.name in script for flag in flags_of(command))


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("vaultctl tok", "token"),
        ("vaultctl kv get -fo", "-format"),
        ("vaultctl server -dev-s", "-dev-storage"),
    ],
)
def test_bash_completes_words_and_flags(words: str, offered: str) -> None:
    ask = (
        f'COMP_WORDS=({words}); COMP_CWORD=$(({len(words.split())} - 1)); _vaultctl; echo "${{COMPREPLY[*]}}"'
    )
    done = subprocess.run(["bash", "-c", f"{_bash()}\n{ask}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == offered
    assert not done.stderr


def test_completion_knows_the_flags_of_the_server() -> None:
    assert sorted(SERVER_FLAGS) == sorted(name.replace("_", "-") for name in Options.__struct_fields__)


def test_every_flag_of_the_server_is_offered_by_fish_with_a_description() -> None:
    offered = [line for line in _fish().splitlines() if "-n '__vaultctl_at server'" in line]
    assert [line.split("'")[3] for line in offered] == list(SERVER_FLAGS)
    assert all(line.endswith(".'") for line in offered)


def test_fish_asks_for_the_values_of_those_flags_that_have_one() -> None:
    offered = [line for line in _fish().splitlines() if "-n '__vaultctl_at kv put'" in line]
    asking = {line.split("'")[3] for line in offered if " -r -a '(vaultctl __complete " in line}
    (command,) = (one for one in all_commands() if one.name == "kv put")
    assert asking == {flag.name for flag in flags_of(command) if flag.kind != "bool"}


def test_help_offers_a_format_only_where_there_is_one() -> None:
    for command in all_commands():
        for form in ("raw", "dot", "svg"):
            assert (f" {form}" in command_help(command).partition("-format=<")[2][:200]) == (
                form in command.formats
            )


def test_starting_loads_neither_the_server_nor_slow_modules() -> None:
    code = "import sys, vaultctl.main, vaultctl.commands.kv.read, vaultctl.http.client; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(_CLI)},
    )
    loaded = set(done.stdout.split())
    assert not loaded & {
        "vault",
        "typing",
        "dataclasses",
        "argparse",
        "asyncio",
        "yaml",
        "logging",
        "httpx",
        "msgspec",
    }


@pytest.mark.parametrize("command", all_commands(), ids=lambda command: str(command.name))
def test_each_command_has_two_or_three_examples_that_it_takes(command: Command) -> None:
    shown = lines(command.name)
    assert 2 <= len(shown) <= 3
    assert all(f"  $ {line}\n" in command_help(command) + "\n" for line in shown)
    for line in shown:
        typed = shlex.split(line.split("vaultctl ", 1)[1].removesuffix(')"'))
        words = list(takewhile(lambda word: word not in {"<", ">"}, typed))
        if words[0].startswith("-") or command.passes_through:
            continue
        found, rest = find_command(words)
        assert found is command
        own = rest[: rest.index("--")] if command.program else rest
        _, arguments = parse(flags_of(command), own, ends=command.ends_flags)
        least, most, _ = command.arguments
        assert least <= len(arguments) and (most is None or len(arguments) <= most), line


@pytest.mark.parametrize("name", ["audit tail", "audit export"])
def test_what_prints_one_record_after_the_other_lists_no_yaml(name: str) -> None:
    command, _ = find_command(name.split())
    assert command is not None
    assert "yaml" not in command_help(command)
    assert "yaml" in command_help(next(one for one in all_commands() if one.name == "audit query"))


def test_the_variable_that_names_the_pin_is_in_the_help() -> None:
    with_pin = [one for one in all_commands() if any(flag.name == "pin" for flag in flags_of(one))]
    assert len(with_pin) > 5
    assert [one.name for one in with_pin if "BAO_HSM_PIN" not in command_help(one)] == []

# SPDX-License-Identifier: EUPL-1.2
"""The README: its commands do what stands beneath them, in the order in which somebody reads them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.servers import dev_server
from tests.house.tree import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_DEFAULT = "http://127.0.0.1:8200"
_KEEPS = re.compile(r"\b(?:vaultctl|openssl)\b[^#]* > \w")
"""A command whose answer, a secret mostly, goes into a file."""
_BREAK = "-- the next command --"


def blocks(language: str) -> list[str]:
    """The README's blocks of one language, up to what is for real use."""
    text, _, _ = (ROOT / "README.md").read_text(encoding="utf-8").partition("## For real use")
    return [found for kind, found in _BLOCK.findall(text) if kind == language]


def steps(session: str) -> Iterator[tuple[str, str]]:
    """Each command of a session, and what it prints."""
    for piece in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, printed = piece.partition("\n")
        yield command, printed


def test_it_opens_with_the_two_commands() -> None:
    first = blocks("sh")[0].splitlines()
    assert [line.partition("#")[0].strip() for line in first] == ["make run", "make test"]


def test_vaultctl_bao_and_hvac_do_what_it_prints(tmp_path: Path) -> None:
    with dev_server("coffre", tmp_path) as server:
        (tmp_path / ".vault-token").write_text(server.token)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**kept, "HOME": str(tmp_path), "PATH": programs, "VAULT_ADDR": server.address}
        session = [step for text in blocks("console") for step in steps(text)]
        script = "\n".join(f"{command}\necho '{_BREAK}'" for command, _ in session)
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        shown = done.stdout.split(f"{_BREAK}\n")[:-1]
        assert done.stderr == ""
        assert len(session) >= 12
        for (command, wanted), found in zip(session, shown, strict=True):
            assert _TIME.sub("TIME", found.rstrip("\n")) == _TIME.sub("TIME", wanted.rstrip("\n")), command
        (program,) = blocks("python")
        assert _DEFAULT in program
        printed = subprocess.run(
            [sys.executable, "-c", program.replace(_DEFAULT, server.address)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        assert f"It prints `{printed.strip()}`." in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_what_a_command_leaves_in_a_file_is_its_users_alone(page: Path) -> None:
    for kind, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        private = kind not in {"sh", "console"}
        for line in text.splitlines():  # each block by itself: who comes back has another shell
            private = private or "umask 077" in line
            assert private or not _KEEPS.search(line), line


def test_the_completion_that_it_names_is_taken_by_a_shell() -> None:
    (line,) = re.findall(
        r'`(eval "\$\(vaultctl completion bash\)")`', (ROOT / "README.md").read_text("utf-8")
    )
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", f"{line}; complete -p vaultctl"],
        env={"PATH": programs},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "complete -o default -F _vaultctl vaultctl\n"

# SPDX-License-Identifier: EUPL-1.2
"""The guide for applications: its commands do what they say, in order."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cli.servers import dev_server
from tests.house.tree import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def environment(home: Path, **more: str) -> Mapping[str, str]:
    """What somebody's shell has, with our programs first on its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
    return {**kept, "HOME": str(home), "PATH": _PROGRAMS, **more}


def run(kind: str, text: str, where: Path, shell: Mapping[str, str]) -> str:
    """Run a block of the guide as it is printed; return what it prints."""
    program = (
        [sys.executable, "-c", text] if kind == "python" else ["bash", "-eu", "-o", "pipefail", "-c", text]
    )
    done = subprocess.run(
        program, env=shell, cwd=where, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, (text, done.stderr)
    return done.stdout


def test_programs_log_in_and_read_as_printed(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "applications.md").read_text(encoding="utf-8")
    with dev_server("coffre", tmp_path) as server:
        (tmp_path / ".vault-token").write_text(server.token)
        operator = environment(tmp_path, VAULT_ADDR=server.address)
        (tmp_path / "elsewhere").mkdir()  # hvac finds the operator's token in the home of the operator
        program = environment(tmp_path / "elsewhere", VAULT_ADDR=server.address)
        printed = [
            run(kind, text, tmp_path, program if kind == "python" else operator)
            for kind, text in _BLOCK.findall(guide)
        ]
        shown = [
            text for (kind, _), text in zip(_BLOCK.findall(guide), printed, strict=True) if kind == "python"
        ]
        assert shown == ["correct-horse\n", "['billing', 'default']\n", "True\n"]
        assert "200\n304\n200\n412\n" in printed  # as the comments beside these requests say
        assert "200\n200\nidempotency-replayed: ?1\n422\n" in [text.replace("\r", "") for text in printed]
        *_, (_, again) = _BLOCK.findall(guide)
        twice = subprocess.run(
            [sys.executable, "-c", again],
            env=program,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (
            twice.stderr
            == "somebody else has unwrapped it, or it is too old: revoke the secret id and raise the alarm\n"
        )

# SPDX-License-Identifier: EUPL-1.2
"""vaultctl hsm as a whole process, where the environment names a token of SoftHSM and its PIN."""

import json
import os
import pty
import select
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.house.tree import ROOT
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm

_PROGRAM = [sys.executable, "-m", "vaultctl", "hsm"]


@dataclass
class Shell:
    """Runs vaultctl where the token `a` and its PIN are named by the environment."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str, typed: str = "", code: int = 0) -> str:
        """What it says, after it ended with `code`."""
        command = [*_PROGRAM, *words]
        done = subprocess.run(
            command,
            input=typed,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert PIN not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def document(self, *words: str) -> Any:
        """What it says to programs."""
        return json.loads(self.run(*words, "-format=json"))

    def typed(self, words: list[str], texts: list[str]) -> tuple[str, int]:
        """What a terminal shows and the exit code, when each of `texts` is typed at a prompt that does not show it."""
        command = [*_PROGRAM, *words]
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.folder)
            os.execve(command[0], command, self.environment)  # noqa: S606  # a list, no shell
        shown, waiting = b"", list(texts)
        while select.select([terminal], [], [], 60)[0]:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
            prompts = shown.count(b"(will be hidden)")
            if waiting and prompts > len(texts) - len(waiting) and not _echoes(terminal):
                os.write(terminal, waiting.pop(0).encode() + b"\n")
        os.close(terminal)
        return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def new_shell(softhsm: SoftHsm, tmp_path: Path) -> Shell:
    """A shell on the token `a`."""
    pin = tmp_path / "pin"
    pin.write_text(PIN)
    pin.chmod(0o400)
    return Shell(
        tmp_path,
        {
            **softhsm.environment,
            "PYTHONPATH": f"{ROOT / 'cli'}:{ROOT}",
            "RUNTIME_DIRECTORY": str(tmp_path),
            "BAO_HSM_LIB": SOFTHSM,
            "BAO_HSM_TOKEN_LABEL": "a",
            "BAO_HSM_KEY_LABEL": "kek",
            "BAO_HSM_PIN": f"file://{pin}",
        },
    )


def _echoes(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)

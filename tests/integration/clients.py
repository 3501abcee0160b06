# SPDX-License-Identifier: EUPL-1.2
"""Where the clients are that `make .venv/.clients` installs, and how they are run."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

INSTALLED = Path(sys.executable).parents[1] / "clients"
"""The collection of ansible and the packages of npm."""


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path, given: str = "") -> str:
    """Run a client, with `given` as its input; return its output. Fails with all that it said where it fails."""
    assert INSTALLED.is_dir(), f"{INSTALLED} is missing: run `make .venv/.clients`"
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

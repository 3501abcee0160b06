# SPDX-License-Identifier: EUPL-1.2
"""Compiles the programs in Go that check what we write: in little time, as none of them runs for long."""

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.house.tree import ROOT

_PACKAGES: Final = "/usr/share/gocode"
"""Where Debian has the sources of Go's libraries."""
_ENVIRONMENT: Final = {
    "CGO_ENABLED": "0",
    "GO111MODULE": "off",
    "GOPATH": _PACKAGES,
    "GOCACHE": str(ROOT / ".venv" / "go-cache"),
    "GOFLAGS": "",
    "GOTOOLCHAIN": "local",
}


def compiled(source: Path, target: Path) -> Path:
    """Compile one file to `target`: not optimised, and without C and what debuggers read, in two thirds of the time."""
    quickly = ["-gcflags=all=-N -l", "-ldflags=-s -w"]
    command = ["go", "build", *quickly, "-o", str(target), str(source)]
    subprocess.run(command, env=os.environ | _ENVIRONMENT, check=True, timeout=240)
    return target

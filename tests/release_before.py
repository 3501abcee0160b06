# SPDX-License-Identifier: EUPL-1.2
"""The release before this one, taken from the history of the repository."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.house.tree import ROOT

COMMIT = "e829a3048674ad17e701d5fd67d8bc8365cfaa42"
"""What landed last. There are no releases yet: from the first on this is its tag."""
VERSION = "0.0.9"
"""What it calls itself here, where it and this release have one number."""


def extract(folder: Path) -> Path:
    """Write its program into a folder, and return that."""
    program = ("vault", "nhi", "hsm", "cli", "api-spec/conformance")
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", COMMIT, *program], capture_output=True, check=False
    )
    assert archive.returncode == 0, f"fetch the whole history of the repository: {archive.stderr.decode()}"
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    package = folder / "vault" / "__init__.py"
    package.write_text(package.read_text() + f'\n__version__ = "{VERSION}"\n')
    return folder

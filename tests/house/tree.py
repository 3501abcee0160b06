# SPDX-License-Identifier: EUPL-1.2
"""The files of this repository: what git tracks or would track, so that a check sees a file before its commit."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def files(suffix: str = "") -> list[Path]:
    """Tracked and new, not ignored, existing files whose names end with `suffix`, in order."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = (name for name in listing.split("\0") if name and name.endswith(suffix))
    return sorted(path for path in (ROOT / name for name in names) if path.is_file())

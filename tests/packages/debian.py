# SPDX-License-Identifier: EUPL-1.2
"""Debian packages for tests: built from this tree, and made others of."""

import os
import subprocess
from pathlib import Path

from tests.house.tree import ROOT
from vault import __version__

DEBIAN = ROOT / "packaging" / "debian"


def build(folder: Path, *, whole: bool) -> Path:
    """Build the package in `folder`; unless `whole`, without the wheels of the lock file."""
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    environment |= {"COMPRESSION": "none"} if whole else {"COMPRESSION": "gzip", "LOCK": os.devnull}
    done = subprocess.run(
        [ROOT / "packaging" / "deb", folder],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (package,) = folder.glob("coffre_*.deb")
    return package


def other_version(package: Path, version: str, added: str, folder: Path) -> Path:
    """Make of a package another version of itself, whose configuration has one line more."""
    tree, made = folder / f"tree-{version}", folder / f"coffre_{version}.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text("".join(f"Version: {version}\n" if x.startswith("Version:") else x for x in lines))
    config = tree / "etc" / "coffre" / "config.hcl"
    config.write_text(f"{config.read_text()}{added}\n")
    for name in ("vault", "vaultctl"):
        (module,) = tree.glob(f"usr/lib/coffre/lib/python3*/site-packages/{name}/__init__.py")
        module.write_text(module.read_text().replace(f'"{__version__}"', f'"{version}"'))
    subprocess.run(
        ["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, made], check=True, capture_output=True
    )
    return made

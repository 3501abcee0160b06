# SPDX-License-Identifier: EUPL-1.2
"""The Debian package, without what it depends on: its files and scripts; `test_debian_machine` runs the whole one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages.debian import DEBIAN, build, other_version
from tests.packages.machine import Machine, machine
from tests.temporary import on_disk
from vault import __version__

pytestmark = pytest.mark.timeout(900)

_MOST_EXPOSED = 1.5
"""Of 10, as `systemd-analyze security` says it: what a network service with a database file and `mlock` cannot go below."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("deb"), whole=False)


@pytest.fixture(scope="module")
def root() -> Iterator[Machine]:
    with on_disk() as folder, machine(folder, "base") as made:
        yield made


def test_the_units_sandbox_leaves_little_open() -> None:
    unit = str(DEBIAN / "coffre.service")
    command = [
        "systemd-analyze",
        "security",
        "--offline=yes",
        "--no-pager",
        f"--threshold={_MOST_EXPOSED * 10:.0f}",
    ]
    told = subprocess.run([*command, unit], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Overall exposure level" in told.stdout


def test_the_package_has_what_a_machine_needs_and_no_tool_to_install_more(package: Path) -> None:
    listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    files = {line.split()[5].removeprefix(".") for line in listed.splitlines()}
    assert {
        "/etc/coffre/config.hcl",
        "/etc/logrotate.d/coffre",
        "/usr/bin/vaultctl",
        "/usr/lib/coffre/bin/vaultctl",
        "/usr/lib/systemd/system/coffre.service",
        "/usr/lib/sysusers.d/coffre.conf",
        "/usr/share/man/man1/vaultctl.1.gz",
    } - files == set()
    outside = {f for f in files if not f.startswith(("/etc/", "/usr/")) and f != "/"}
    assert outside == set()
    assert [f for f in files if f.endswith((".pyc", "direct_url.json", "/pip", "/activate"))] == []


def test_lintian_finds_nothing(package: Path) -> None:
    told = subprocess.run(
        ["lintian", "--fail-on=error,warning,info", "--allow-root", package],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [
        line for line in told.stdout.splitlines() if "unused-override" not in line
    ]  # of the libraries left out
    assert lines == []


def test_it_is_installed_upgraded_removed_and_purged_and_data_stays(
    package: Path, root: Machine, tmp_path: Path
) -> None:
    """What an operator changed in the configuration outlives the upgrade, secrets outlive everything."""
    root.does("dpkg", "--install", root.takes(package))
    who = root.does("id", "coffre")
    for folder in ("/var/lib/coffre", "/var/log/coffre"):
        assert root.does("stat", "-c", "%U:%G %a", folder) == "coffre:coffre 700\n"
    assert "coffre" in who
    assert root.does("vaultctl", "version") == f"vaultctl v{__version__}\n"
    assert list((root.root / "usr/lib/coffre").rglob("__pycache__/*.pyc")) != []
    assert not (root.root / "etc/systemd/system/multi-user.target.wants/coffre.service").exists()
    config = root.root / "etc/coffre/config.hcl"
    config.write_text("# ours\n")
    (root.root / "var/lib/coffre/coffre.db").write_text("secrets")
    newer = other_version(package, "9.0", "# theirs", tmp_path)
    root.does("dpkg", "--install", "--force-confold", root.takes(newer))
    assert root.does("vaultctl", "version") == "vaultctl v9.0\n"
    assert config.read_text() == "# ours\n"
    assert config.with_suffix(".hcl.dpkg-dist").read_text().endswith("# theirs\n")
    root.does("dpkg", "--remove", "coffre")
    assert list((root.root / "usr/lib").glob("coffre/**/*.py*")) == []
    assert config.read_text() == "# ours\n"
    purged = root.tried("dpkg", "--purge", "coffre")
    assert purged.returncode == 0
    assert "/var/lib/coffre stays" in purged.stderr
    assert not config.exists()
    assert (root.root / "var/lib/coffre/coffre.db").read_text() == "secrets"
    assert root.does("id", "coffre") == who

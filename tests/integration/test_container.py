# SPDX-License-Identifier: EUPL-1.2
"""The Containerfile, built and run: not as root, on a read-only root file system, answering."""

import importlib.metadata
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT
from tests.integration.images import Buildah, read_only_command
from tests.ports import free_port
from tests.temporary import on_disk
from vault import __version__

_IMAGE = "localhost/coffre"
_USER = 10001
_START_SECONDS = 60.0

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Built:
    """The built image, and a container of it with its file system mounted."""

    buildah: Buildah
    container: str
    root: Path

    @property
    def configuration(self) -> dict[str, Any]:
        """The image's own configuration."""
        return self.buildah.configuration(_IMAGE)

    def read_only(
        self, data: Path, command: list[str], config: Path | None = None, user: int = _USER
    ) -> list[str]:
        """The command line that runs `command` with `data` as the only writable place."""
        mounts = [(data, "/data", "rw")]
        if config is not None:
            mounts.append((config, "/etc/coffre", "ro"))
        environment = ["/usr/bin/env", "-i", *self.configuration["Env"]]
        return read_only_command(self.root, mounts, [*environment, *command], user)


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """Base image, build and container, in storage that is gone afterwards."""
    with on_disk() as folder:  # a gigabyte
        buildah = Buildah(folder)
        buildah.add_base()
        buildah.build(ROOT, _IMAGE)
        container, root = buildah.start(_IMAGE)
        yield Built(buildah, container, root)
        buildah.command("umount", container)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data volume that belongs to the image's user."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    subprocess.run(["chown", f"{_USER}:{_USER}", str(folder)], check=True)
    return folder


def test_sl_43_the_image_runs_the_server_as_a_user_without_rights(built: Built) -> None:
    configuration = built.configuration
    assert configuration["User"] == f"{_USER}:{_USER}"
    assert configuration["Entrypoint"] == ["vaultctl", "server"]
    assert configuration["Volumes"] == {"/data": {}}
    assert configuration["Healthcheck"]["Test"] == ["CMD", "vaultctl", "server", "-check-health"]
    assert configuration["Labels"]["org.opencontainers.image.version"] == __version__
    assert "BAO_CONFIG_PATH=/etc/coffre/config.hcl" in configuration["Env"]
    assert built.buildah.run(built.container, "/bin/sh", "-c", "id -u; id -g").split() == ["10001", "10001"]


def test_the_commands_that_are_printed_keep_the_health_check() -> None:
    """Docker's form has it, the other form has no place for it; here it is built in Docker's too."""
    for page in ("Containerfile", "docs/install.md"):
        built = [line for line in (ROOT / page).read_text().splitlines() if "podman build" in line]
        assert built, page
        assert all("podman build --format docker" in line for line in built), page


def test_the_image_holds_the_wheel_and_no_tool_to_install_more(built: Built) -> None:
    assert "vaultctl" in {path.name for path in (built.root / "opt/coffre/bin").iterdir()}
    assert list((built.root / "opt/coffre/bin").glob("pip*")) == []
    assert not (built.root / "src").exists()
    assert list(built.root.glob("opt/coffre/lib/python3*/site-packages/coffre-*.dist-info")) != []


def test_the_command_runs_on_a_read_only_root_file_system(built: Built, data: Path) -> None:
    command = built.read_only(data, ["vaultctl", "version"])
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "v" in finished.stdout.lower()


def test_the_user_can_write_the_volume_and_nothing_else(built: Built, data: Path) -> None:
    """The check's own check: the root really is read-only, and the volume really is not."""
    script = "touch /data/kept; for place in / /etc /opt/coffre /tmp /var /usr; do touch $place/no && echo $place; done"
    command = built.read_only(data, ["/bin/sh", "-c", script])
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.stdout == ""
    assert "Read-only file system" in finished.stderr
    assert [path.name for path in data.iterdir()] == ["kept"]


def test_nothing_in_the_image_is_writable_by_its_user(built: Built) -> None:
    script = (
        r"find / -xdev \( -path /proc -o -path /dev -o -path /sys \) -prune"
        r" -o ! -type l -writable -print 2>/dev/null; true"  # some folders may not be looked into
    )
    found = built.buildah.run(built.container, "/bin/sh", "-c", script).split()
    assert "/tmp" in found
    own = ("/tmp", "/var/tmp", "/run", "/data", "/var/lock")
    assert [path for path in found if not path.startswith(own)] == []


@pytest.mark.parametrize("user", [_USER, 4242])
def test_the_server_answers_on_a_read_only_root_file_system_whoever_runs_it(
    built: Built, data: Path, tmp_path: Path, user: int
) -> None:
    """The image's own health check knows where."""
    os.chown(data, user, user)
    port = free_port()
    config = tmp_path / "config"
    config.mkdir(mode=0o755)
    (config / "config.hcl").write_text(
        f"""
disable_mlock = true
storage "sqlite" {{ path = "/data/coffre.db" }}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
""",
        encoding="utf-8",
    )
    configuration = built.configuration
    check = built.read_only(data, configuration["Healthcheck"]["Test"][1:], config, user)
    assert subprocess.run(check, capture_output=True, check=False).returncode == 1
    command = built.read_only(
        data, [*configuration["Entrypoint"], *(configuration["Cmd"] or [])], config, user
    )
    with _running(command, tmp_path / "server.log") as process:
        address = f"http://127.0.0.1:{port}/v1/sys"
        assert _health(f"{address}/health", process, tmp_path / "server.log") == 501
        made = _put(f"{address}/init", {"secret_shares": 1, "secret_threshold": 1})
        assert _put(f"{address}/unseal", {"key": made["keys"][0]})["sealed"] is False
        assert _health(f"{address}/health", process, tmp_path / "server.log") == 200
        assert _user_of(process.pid) == user
        subprocess.run(check, check=True)
    assert (data / "coffre.db").stat().st_mode & 0o077 == 0


def test_the_bill_of_materials_lists_what_is_installed_with_version_hash_and_licence(built: Built) -> None:
    """Each hash is one of those that the lock file has for that version."""
    bill = json.loads((built.root / "opt/coffre/bill-of-materials.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    site = next(built.root.glob("opt/coffre/lib/python3*/site-packages"))
    installed = {
        (re.sub(r"[-_.]+", "-", found.name).lower(), found.version)
        for found in importlib.metadata.distributions(path=[str(site)])
    }
    parts = [*bill["components"], bill["metadata"]["component"]]
    assert {(part["name"], part["version"]) for part in parts} == installed
    assert len(parts) > 25
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    for part in bill["components"]:
        (line,) = [x for x in locked if re.sub(r"[-_.]+", "-", x.split("==")[0]).lower() == part["name"]]
        assert part["hashes"][0]["content"] in line
        assert part["licenses"][0].get("expression") or part["licenses"][0]["license"]["name"]


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()


def _health(address: str, process: subprocess.Popen[bytes], log: Path) -> int:
    """The status of the health endpoint, once the server answers at all."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the server did not answer:\n{log.read_text(errors='replace')[-3000:]}")


def _put(address: str, body: dict[str, object]) -> dict[str, Any]:
    request = urllib.request.Request(address, data=json.dumps(body).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=60) as answer:
        parsed: dict[str, Any] = json.load(answer)
        return parsed


def _user_of(pid: int) -> int:
    (line,) = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("Uid:")]
    return int(line.split()[1])

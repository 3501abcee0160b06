# SPDX-License-Identifier: EUPL-1.2
"""The wheel that we ship: what is in it, and that nobody else's package claims its import names."""

import email
import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import vault
import vaultctl
from tests.house.tree import ROOT

_NAMES = {"vault", "hsm", "nhi", "vaultctl", "esa_conformance"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline by the locked build tools."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("coffre-*.whl")
    return built


def test_the_wheel_holds_the_five_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == _NAMES


def test_every_package_of_the_wheel_is_typed(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{name}/py.typed" for name in _NAMES} - names == set()


def test_the_page_has_its_style_sheet(wheel: Path) -> None:
    assert "vault/ui/html/style.css" in zipfile.ZipFile(wheel).namelist()


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        (licence,) = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
        assert archive.read(licence).decode().split() == (ROOT / "LICENSE").read_text("utf-8").split()
        assert (
            email.message_from_bytes(archive.read(metadata))["License-Expression"]
            == "EUPL-1.2 AND Apache-2.0"
        )


def test_the_import_names_belong_to_our_distribution_only(wheel: Path, tmp_path: Path) -> None:
    """Installed into the test dependencies' company, each name must map to exactly `coffre`.

    The mapping of an editable install is empty, so the wheel is unpacked where an interpreter finds it
    before anything else, together with all that the lock files install.
    """
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import importlib.metadata as m, json;"
        "d = m.packages_distributions();"
        f"print(json.dumps({{n: sorted(set(d.get(n, []))) for n in {sorted(_NAMES)!r}}}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert json.loads(answer) == {name: ["coffre"] for name in _NAMES}


def test_the_command_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """With the base dependencies only: `vaultctl version` must need nothing of the server's."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    site = next((home / "lib").glob("python3.*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import sys; from vaultctl.main import main; sys.argv = ['vaultctl', 'version']; sys.exit(main())"
    )
    finished = subprocess.run(
        [home / "bin" / "python", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert wheel.name.split("-")[1] in finished.stdout


def test_server_and_command_line_have_one_version() -> None:
    assert vaultctl.__version__ == vault.__version__

# SPDX-License-Identifier: EUPL-1.2
"""Source distribution and wheels: what is installed from them alone serves, and no other build gives another wheel."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.house.tree import ROOT, files
from tests.integration.processes import Running
from tests.packages.printed import blocks
from tests.ports import free_port
from vault import __version__

_TOKEN = "root"

pytestmark = [pytest.mark.timeout(600), pytest.mark.executed]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `packaging/wheels` makes."""
    made = tmp_path_factory.mktemp("dist")
    finished = subprocess.run(
        [ROOT / "packaging" / "wheels", made],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return made


@pytest.fixture(scope="module")
def installed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment that docs/install.md makes out of that folder, with no index asked."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    here = {"/opt/coffre": str(home), "python3 -m": f"{sys.executable} -m", "dist/wheels": f"{folder}/wheels"}
    (block,) = (block for block in blocks("install.md", "With pip") if block.kind == "sh")
    for command in block.commands:
        typed = command
        for printed, ours in here.items():
            typed = typed.replace(printed, ours)
        finished = subprocess.run(["sh", "-euc", typed], capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
    return home / "bin"


def _run(program: Path, *arguments: str, where: Path, port: int = 0) -> subprocess.CompletedProcess[str]:
    """Run an installed program where nothing of the source tree is found."""
    environment = {"HOME": str(where), "PATH": "/usr/bin:/bin", "VAULT_TOKEN": _TOKEN}
    environment["VAULT_ADDR"] = f"http://127.0.0.1:{port}"
    return subprocess.run(
        [program, *arguments], cwd=where, env=environment, capture_output=True, text=True, check=False
    )


def test_the_source_distribution_builds_the_wheel_that_the_tree_does(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (ours,) = tmp_path.glob("coffre-*.whl")
    (theirs,) = (folder / "wheels").glob("coffre-*.whl")
    assert ours.name == theirs.name == f"coffre-{__version__}-py3-none-any.whl"
    assert hashlib.sha256(ours.read_bytes()).digest() == hashlib.sha256(theirs.read_bytes()).digest()


def test_the_wheel_has_every_file_that_programs_read(folder: Path) -> None:
    """Whatever lies beside modules is read by one of them: pages, statements, texts."""
    (wheel,) = (folder / "wheels").glob("coffre-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    roots = {"vault": ROOT, "hsm": ROOT, "nhi": ROOT, "vaultctl": ROOT / "cli"}
    wanted = {
        str(path.relative_to(root))
        for name, root in roots.items()
        for path in files()
        if path.is_relative_to(root / name)
    }
    assert any(name.endswith(".sql") for name in wanted)
    assert wanted - held == set()


def test_the_source_distribution_has_what_a_reader_wants(folder: Path) -> None:
    with tarfile.open(next(folder.glob("coffre-*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "SECURITY.md",
        "PKG-INFO",
    } - names == set()
    assert [name for name in names if name.startswith(("tests/", "."))] == [".gitignore"]


def test_the_bill_of_materials_has_every_wheel_by_its_hash(folder: Path) -> None:
    bill = json.loads((folder / "bill-of-materials.cdx.json").read_text())
    parts = [*bill["components"], bill["metadata"]["component"]]
    billed = {part["hashes"][0]["content"] for part in parts}
    wheels = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in (folder / "wheels").iterdir()}
    assert billed == wheels
    assert {part["name"] for part in bill["components"]} >= {"cryptography", "uvloop", "starlette"}
    assert all(part["licenses"] for part in parts)


def test_vaultctl_says_the_version(installed: Path, tmp_path: Path) -> None:
    told = _run(installed / "vaultctl", "version", where=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert __version__ in told.stdout


def test_the_server_serves_from_the_wheels_alone(installed: Path, tmp_path: Path) -> None:
    """Its statements make a database, a secret is written and read, and page and OpenAPI are there."""
    port = free_port()
    command = [
        str(installed / "vaultctl"),
        "server",
        "-dev",
        f"-dev-root-token-id={_TOKEN}",
        "-dev-no-store-token",
    ]
    command += [f"-dev-listen-address=127.0.0.1:{port}", f"-dev-storage={tmp_path / 'coffre.db'}"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    server = Running(process)
    try:
        server.wait_for("started")
        put = _run(installed / "vaultctl", "kv", "put", "secret/a", "b=c", where=tmp_path, port=port)
        assert put.returncode == 0, put.stderr
        got = _run(installed / "vaultctl", "kv", "get", "-field=b", "secret/a", where=tmp_path, port=port)
        assert (got.returncode, got.stdout) == (0, "c")
        address = f"http://127.0.0.1:{port}/ui/"
        with urllib.request.urlopen(address, timeout=60) as page:
            (style,) = re.findall(r'href="([^"]+\.css)"', page.read().decode())
        with urllib.request.urlopen(urljoin(address, style), timeout=60) as sheet:
            assert sheet.read().startswith(b"/* SPDX-License-Identifier")
        openapi = _run(
            installed / "vaultctl",
            "read",
            "-format=json",
            "sys/internal/specs/openapi",
            where=tmp_path,
            port=port,
        )
        assert openapi.returncode == 0, openapi.stderr
        assert '"openapi"' in openapi.stdout
    finally:
        code = server.end()
        server.close()
    assert code == 0


@pytest.mark.parametrize(
    ("tag", "changed", "says"),
    [
        (f"v{__version__}", False, ""),
        ("v9.9.9", False, "the tag v9.9.9 names this commit"),
        (f"v{__version__}", True, "files differ from what"),
    ],
)
def test_a_tag_names_the_version_that_is_built(tag: str, *, changed: bool, says: str, tmp_path: Path) -> None:
    """ADR 0004: what is built of a tagged commit is that version, or nothing."""
    (tmp_path / "packaging").mkdir()
    (tmp_path / "vault").mkdir()
    shutil.copy(ROOT / "packaging" / "version", tmp_path / "packaging")
    shutil.copy(ROOT / "vault" / "__init__.py", tmp_path / "vault")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "One"], ["tag", tag]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    if changed:
        (tmp_path / "vault" / "more.py").write_text("")
    told = subprocess.run([tmp_path / "packaging" / "version"], capture_output=True, text=True, check=False)
    if says:
        assert told.returncode == 1
        assert says in told.stderr
    else:
        assert (told.returncode, told.stdout) == (0, f"{__version__}\n")

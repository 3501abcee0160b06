# SPDX-License-Identifier: EUPL-1.2
"""The rules in tests/conftest.py bite: shown on small test files that break them."""

import subprocess
import sys

import pytest

from tests.house.tree import ROOT
from tests.ports import free_port

_CASES = {
    "plain": ("def test_it(): pass", "PASSED"),
    "skips": ("def test_it(): pytest.skip('no such tool')", "FAILED"),
    "skip_mark": ("@pytest.mark.skip\ndef test_it(): pass", "ERROR"),
    "import_or_skip": ("absent = pytest.importorskip('no_such_module')\ndef test_it(): pass", "ERROR"),
    "expected_failure_that_passes": ("@pytest.mark.xfail\ndef test_it(): pass", "FAILED"),
    "warning": ("import warnings\ndef test_it(): warnings.warn('old')", "FAILED"),
    "socket": ("def test_it(): socket.create_connection(('127.0.0.1', 9))", "FAILED"),
    "socket_pair": ("def test_it(): [end.close() for end in socket.socketpair()]", "PASSED"),
    "loopback": ("@pytest.mark.loopback\ndef test_it(): socket.socket().close()", "PASSED"),
    "elsewhere": (
        "@pytest.mark.loopback\ndef test_it(): socket.create_connection(('192.0.2.1', 9), timeout=1)",
        "FAILED",
    ),
    "unknown_mark": ("@pytest.mark.no_such_mark\ndef test_it(): pass", "ERROR"),
}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest, under this repository's settings, says of the cases, each a file of its own."""
    folder = tmp_path_factory.mktemp("cases")
    for name, (body, _) in _CASES.items():
        path = folder / f"test_{name}.py"
        path.write_text(f"import socket\nimport pytest\n{body}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=no", "--continue-on-collection-errors"]
    command += ["-p", "no:cacheprovider", "-p", "tests.conftest"]
    command += ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return finished.stdout


@pytest.mark.parametrize("name", _CASES)
def test_a_rule_of_tests_bites(summary: str, name: str) -> None:
    outcomes = {line.split()[0] for line in summary.splitlines() if f"test_{name}.py" in line}
    assert _CASES[name][1] in outcomes, summary


def test_no_port_is_given_to_two_servers() -> None:
    given = [free_port() for _ in range(300)]
    assert len({*given, *(port + 1 for port in given)}) == 600

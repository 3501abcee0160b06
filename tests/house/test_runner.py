# SPDX-License-Identifier: EUPL-1.2
"""The tests' own run: a test that kills its worker, or hangs where no exception ends it, fails and costs no other."""

import os
import subprocess
import sys
from pathlib import Path

from tests.house.tree import ROOT

_TESTS = """
import contextlib, os, time
import pytest

@pytest.mark.parametrize("number", range(40))
def test_before(number):
    time.sleep(0.01)

def test_that_kills():
    os._exit(3)

def test_that_hangs():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(60)

@pytest.mark.parametrize("number", range(40))
def test_behind(number):
    time.sleep(0.01)
"""


def test_a_worker_that_dies_or_hangs_fails_one_test(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(_TESTS)
    flags = ["-n", "3", "--dist", "loadscope", "--no-loadscope-reorder", "-p", "tests.conftest"]
    # No other plugin, as each of six processes would load them all.
    plugins = ["-p", "xdist", "-p", "pytest_timeout", "-p", "pytest_socket"]
    quick = ["-o", "timeout=2", "-o", "faulthandler_timeout=4"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            ROOT / "pyproject.toml",
            "--rootdir",
            tmp_path,
            *plugins,
            *flags,
            *quick,
            tmp_path,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.splitlines()[-1].startswith("="), done.stdout
    assert "2 failed, 80 passed" in done.stdout.splitlines()[-1]
    for name in ("test_that_kills", "test_that_hangs"):
        assert f"crashed while running 'test_it.py::{name}'" in done.stdout

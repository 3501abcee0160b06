# SPDX-License-Identifier: EUPL-1.2
"""What an agent inherits from the server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm.client.launch import Launch, last_words, start
from hsm.operations import AgentConfig
from hsm.pin import Pin
from tests.house.tree import ROOT

_PROGRAM = "import json, os, sys; os.write(int(sys.argv[1]), json.dumps(dict(os.environ)).encode())"


def test_a_server_has_no_module_that_a_fork_could_double() -> None:
    """Nothing that a server is made of loads python-pkcs11: sessions that a child inherits would be used twice."""
    program = (
        "import importlib, pkgutil, sys\n"
        "import hsm.client.agent_client, hsm.client.pkcs11_slot, hsm.client.signers, vault\n"
        "for found in pkgutil.walk_packages(vault.__path__, 'vault.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "print([name for name in sys.modules if name.startswith('pkcs11')])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, text=True
    )
    assert told.stdout == "[]\n"


def test_no_variable_of_the_servers_own_reaches_an_agent() -> None:
    given = {
        "SOFTHSM2_CONF": "/etc/softhsm2.conf",
        "PIN_A": "1",
        "BAO_HSM_PIN": "2",
        "BAO_TOKEN": "3",
        "VAULT_DEV_ROOT_TOKEN_ID": "4",
        "COFFRE_X": "5",
    }
    launch = Launch(
        config=AgentConfig(lib="/l.so", login=False),
        pin=lambda: Pin(b"never asked for"),
        hidden_variables=("PIN_A",),
        environment=given,
        program=(sys.executable, "-c", _PROGRAM),
        opening_seconds=1.0,
    )
    reading, writing = os.pipe()
    with start(launch, writing) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            found = json.loads(pipe.read())
        assert process.wait(60.0) == 0
    assert process.stderr is not None
    process.stderr.close()
    assert found.pop("PYTHONPATH") == str(Path(__file__).parents[4])
    found.pop("LC_CTYPE", None)
    assert found == {"SOFTHSM2_CONF": "/etc/softhsm2.conf"}


_PIN = "4711-hunter2"


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("echo out; echo first >&2; printf 'ImportError: last\\033[2J\\n\\n' >&2", "ImportError"),
        ("", ""),
        ("printf %2000s x >&2", ""),
        (f"echo C_Login: {_PIN} >&2", ""),
        (f"echo {_PIN} >&2", ""),
        (f"echo ValueError: {_PIN} >&2", "ValueError"),
        (f"echo ModuleNotFoundError: No module named {_PIN} >&2", "ModuleNotFoundError"),
        (
            "echo \"ModuleNotFoundError: No module named 'pkcs11'\" >&2",
            "python-pkcs11 is not installed: in a checkout, pip install '.[hsm]'",
        ),
    ],
)
def test_the_last_words_of_a_program_are_words_that_were_known_before(
    printed: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    launch = Launch(
        config=AgentConfig(lib="/l.so", login=False),
        pin=lambda: Pin(b"never asked for"),
        environment={},
        program=("/bin/sh", "-c", printed),
        opening_seconds=1.0,
    )
    reading, writing = os.pipe()
    with start(launch, writing) as process:
        assert process.wait(60.0) == 0
    os.close(reading)
    os.close(writing)
    assert last_words(process) == said
    assert process.stderr is not None
    process.stderr.close()
    assert capfd.readouterr() == ("", "")

# SPDX-License-Identifier: EUPL-1.2
"""What a development server prints to type is typed in another shell, and does what it says."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.integration.processes import VAULT, running
from tests.integration.test_application_guide import environment, run
from tests.integration.test_hsm_guide import FIVE, Operator
from tests.ports import free_port

_END = "Development mode should NOT be used in production installations!"


def _typed(lines: Sequence[str], folder: Path, shell: Mapping[str, str]) -> list[str]:
    """What each command of a banner prints, those before it having been typed; and the program, last."""
    commands = [line.removeprefix("    $ ") for line in lines if line.startswith("    $ ")]
    program = [line[4:] for line in lines if line.startswith("    ") and not line.startswith("    $ ")]
    exports = [line for line in commands if line.startswith("export ")]
    shown = [run("sh", "\n".join([*exports, line]), folder, shell) for line in commands[len(exports) :]]
    return [*shown, run("python", "\n".join(program), folder, shell)]


@pytest.mark.parametrize("more", [[], ["-dev-no-store-token"], ["-dev-tls"]], ids=["", "no-store", "tls"])
def test_what_it_prints_works_as_typed(tmp_path: Path, more: Sequence[str]) -> None:
    flags = ["-dev", f"-dev-listen-address=127.0.0.1:{free_port()}", *more]
    with running(*flags, home=tmp_path, module=VAULT) as server:
        server.wait_for(_END)
        put, get, program = _typed(server.lines, tmp_path, environment(tmp_path))
    assert "version            1" in put
    assert "who    world" in get
    assert program == "{'who': 'world'}\n"


def test_what_it_prints_of_a_token_that_seals_it_works_as_typed(tmp_path: Path) -> None:
    operator = Operator(tmp_path)
    operator.does("\n".join(FIVE[:-1]))
    sealed = {"BAO_SEAL_TYPE": "pkcs11", **operator.environment}
    with running(
        "-dev",
        f"-dev-listen-address=127.0.0.1:{operator.port}",
        home=tmp_path,
        environment=sealed,
        module=VAULT,
    ) as server:
        server.wait_for(_END)
        slots, *_ = _typed(server.lines, tmp_path, environment(tmp_path))
    assert "no: software" in slots

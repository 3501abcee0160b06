# SPDX-License-Identifier: EUPL-1.2
"""On a real terminal, secrets are asked for and never shown."""

import os
import pty
import select
import sys
import termios
from pathlib import Path

import pytest

from tests.cli.servers import Server
from tests.integration.processes import certificate

_ROOT = Path(__file__).parents[2]


def test_login_asks_for_the_token_without_showing_it(server: Server, tmp_path: Path) -> None:
    shown, code = typed(["login", "-no-print"], server.token, server, tmp_path)
    assert code == 0
    assert "Token (will be hidden):" in shown
    assert server.token not in shown
    assert (tmp_path / ".vault-token").read_text() == server.token


def test_unseal_asks_for_the_key_without_showing_it(server: Server, tmp_path: Path) -> None:
    shown, code = typed(["operator", "unseal"], "hunter2-is-no-key", server, tmp_path)
    assert code == 2
    assert "Unseal Key (will be hidden):" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["login"], "Token"),
        (["login", "-method=nhi", "client_id=x"], "Client secret"),
        (["operator", "unseal"], "Unseal Key"),
    ],
)
def test_whoever_types_nothing_is_told_so(
    command: list[str], what: str, server: Server, tmp_path: Path
) -> None:
    shown, code = typed(command, "\x04", server, tmp_path)
    assert code in (1, 2)
    assert shown.endswith(f"{what} is needed, and none was typed\r\n")
    assert "Traceback" not in shown


def test_an_empty_client_secret_is_sent_to_nobody(server: Server, tmp_path: Path) -> None:
    shown, code = typed(["login", "-method=nhi", "client_id=x"], "", server, tmp_path)
    assert (code, "'client_secret' must be specified" in shown) == (2, True)


@pytest.mark.parametrize("command", [["login"], ["operator", "unseal"]])
def test_non_interactive_asks_nothing(command: list[str], server: Server, tmp_path: Path) -> None:
    shown, code = typed([*command, "-non-interactive"], "", server, tmp_path)
    assert code in (1, 2)
    assert "will be hidden" not in shown


def test_a_field_ends_its_line_on_a_terminal(server: Server, tmp_path: Path) -> None:
    shown, code = typed(["status", "-field=sealed"], "", server, tmp_path)
    assert (shown, code) == ("false\r\n", 0)


def test_the_passphrase_of_a_client_key_is_never_asked_for(server: Server, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "client", password=b"hunter2")
    flags = ["-address=https://127.0.0.1:1", f"-client-cert={cert}", f"-client-key={key}"]
    shown, code = typed(["read", *flags, "x"], "", server, tmp_path)
    assert code == 1
    assert shown.startswith(
        "-client-cert or -client-key: cannot read a matching PEM pair there, the key without"
    )


def typed(arguments: list[str], text: str, server: Server, home: Path) -> tuple[str, int]:
    """What the terminal showed and the exit code, when `text` is typed at the first prompt."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT / "cli")}
    environment |= {"BAO_ADDR": server.address, "BAO_MAX_RETRIES": "0"}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "vaultctl", *arguments], environment)  # noqa: S606  # a list, no shell
    shown = b""
    typed = False
    while select.select([terminal], [], [], 120)[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if b"hidden" in shown and not typed and not _echoes(terminal):
            os.write(terminal, text.encode() + b"\n")
            typed = True
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _echoes(terminal: int) -> bool:
    """Whether the terminal shows what is typed."""
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)

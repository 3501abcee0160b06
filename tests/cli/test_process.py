# SPDX-License-Identifier: EUPL-1.2
"""The command as a process: nobody who reads, somebody who interrupts, words that are no text, no server package."""

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaultctl import __version__
from vaultctl.main import run

pytestmark = pytest.mark.executed

_ROOT = Path(__file__).parents[2]
_VAULTCTL = [sys.executable, "-m", "vaultctl"]


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
    return {**kept, "PYTHONPATH": str(_ROOT / "cli"), **more}


def _shown(*words: str) -> tuple[str, str, int]:
    stdout, stderr = io.StringIO(), io.StringIO()
    code = run(list(words), environ={}, stdin=io.StringIO(), stdout=stdout, stderr=stderr)
    return stdout.getvalue(), stderr.getvalue(), code


def test_when_nobody_reads_the_output_it_ends_without_a_word() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*_VAULTCTL, "completion", "bash"],
            stdout=write,
            stderr=subprocess.PIPE,
            env=_environment(),
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started hears interrupts, also where the tests run behind a shell that ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def becoming() -> Iterator[None]:
    """Take signals as before once a server had begun to take them."""
    taken = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in taken}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_an_interrupt_while_it_waits_ends_it_without_a_traceback(tmp_path: Path, interruptible: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen(
            [*_VAULTCTL, "read", "x"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(BAO_ADDR=address, HOME=str(tmp_path)),
        )
        try:
            with server.accept()[0] as connection:
                assert connection.recv(4) == b"GET "
                process.send_signal(signal.SIGINT)
                shown = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert (process.returncode, shown) == (130, (b"", b""))


def test_a_command_of_bao_that_is_not_here_is_told_of_with_what_there_is_in_its_place() -> None:
    stdout, stderr, code = _shown("agent", "-config=agent.hcl")
    assert (stdout, code) == ("", 127)
    assert stderr.endswith(
        "\n\n`agent` of `bao` is not here: OpenBao's own works with this server, as `bao agent`.\n"
    )
    stdout, stderr, code = _shown("operator", "raft", "list-peers")
    assert (stdout, code) == ("", 1)
    assert stderr.endswith(
        "\n\n`operator raft list-peers` of `bao` is not here: here it is `vaultctl operator members`.\n"
    )


@pytest.mark.parametrize("word", ["-v", "-version", "--version", "version"])
def test_the_version_is_one_line(word: str) -> None:
    assert _shown(word) == (f"vaultctl v{__version__}\n", "", 0)


def test_a_word_that_is_no_text_is_named_by_its_place_and_not_repeated() -> None:
    stdout, stderr, code = _shown("kv", "put", "secret/x", "password=hunter2\udcff")
    assert (stdout, code) == ("", 1)
    assert stderr == "argument 2 of the command is not UTF-8 text; encode it, as base64 say\n"


def test_without_the_server_package_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, becoming: None
) -> None:
    monkeypatch.setitem(sys.modules, "vault.server.__main__", None)
    told = (
        "the server is not installed here, module vault.server.__main__ is missing: in a checkout, pip install '.[server]'; "
        "from wheels, pip install --no-index --find-links DIR 'coffre[server]'\n"
    )
    assert _shown("server", "-dev") == ("", told, 1)


def test_help_of_the_server_is_the_servers_own(capsys: pytest.CaptureFixture[str], becoming: None) -> None:
    assert _shown("server", "-help") == ("", "", 0)
    assert "-dev-storage=<path>" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    stdout, stderr, code = _shown("completion", shell)
    assert (stderr, code) == ("", 0)
    assert ("complete -c vaultctl" if shell == "fish" else "complete -o default -F _vaultctl") in stdout
    assert ("bashcompinit" in stdout) == (shell == "zsh")


def _run(words: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a shell's line in which `$V` is the command."""
    return subprocess.run(
        ["bash", "-c", words.replace("$V", f"{sys.executable} -m vaultctl")],
        env=_environment(HOME=str(home), BAO_ADDR="http://127.0.0.1:9", BAO_MAX_RETRIES="0", **more),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code", "stdout", "stderr"),
    [
        ("$V version >&-", 0, "", ""),
        ("$V version 2>&-", 0, f"vaultctl v{__version__}\n", ""),
        ("$V version <&-", 0, f"vaultctl v{__version__}\n", ""),
        ("$V version >/dev/full", 1, "", "cannot write the output: No space left on device\n"),
        ("$V read x 2>&-", 2, "", ""),
        ("$V read x 2>/dev/full", 2, "", ""),
        ("$V read x <&- 2>/dev/null", 2, "", ""),
        ("$V write x - <&-", 1, "", "Failed to parse K=V data: standard input does not hold valid JSON\n"),
    ],
)
def test_streams_that_are_closed_or_full_cause_no_traceback_and_change_no_exit_code(
    words: str, code: int, stdout: str, stderr: str, tmp_path: Path
) -> None:
    done = _run(words, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, stdout, stderr)


def test_words_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    """Python takes them for ASCII there, or for letters of another alphabet."""
    curl = "$V write -output-curl-string x a=\u00e9 b=- c=@$HOME/\u00e9"
    (tmp_path / "\u00e9").write_text("\u2713", encoding="utf-8")
    done = _run(
        f"printf \u221e | {curl}",
        tmp_path,
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        BAO_TOKEN="t",
    )
    assert done.stderr == ""
    assert all(
        f'"{name}":"{text}"' in done.stdout
        for name, text in (("a", "\u00e9"), ("b", "\u221e"), ("c", "\u2713"))
    )


def test_words_are_made_utf_8_without_a_variable_that_other_programs_would_read(tmp_path: Path) -> None:
    """What `run` starts, or a browser for a login, has the environment that there was."""
    code = (
        "import os, sys; from vaultctl.main import main; sys.argv[1:] = ['version']; main();"
        "print(sys.flags.utf8_mode, os.environ['PYTHONUTF8'])"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 0"


def test_flags_before_the_command_are_no_unknown_command() -> None:
    shown = _shown("-format=json", "status")
    assert shown[0] == ""
    assert shown[1].endswith("\nFlags stand behind the command: `vaultctl kv get -format=json secret/x`.\n")
    assert shown[2] == 1


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("-versoin", "Unknown flag; did you mean `vaultctl -version`?"),
        ("--hlep", "Unknown flag; did you mean `vaultctl -help`?"),
        ("kv -hlep", "Unknown flag; did you mean `vaultctl kv -help`?"),
        ("kv -versoin", "Unknown flag."),
        ("-x", "Unknown flag."),
        ("help", "Unknown command; did you mean `vaultctl -h`?"),
        ("help kv get", "Unknown command; did you mean `vaultctl kv get -h`?"),
        ("kv help", "Unknown command; did you mean `vaultctl kv -h`?"),
        ("kv help get", "Unknown command; did you mean `vaultctl kv get -h`?"),
        ("help nonsense", "Unknown command; did you mean `vaultctl -h`?"),
    ],
)
def test_what_was_meant_is_suggested_before_a_command_too(words: str, meant: str) -> None:
    assert _shown(*words.split())[1].endswith(f"\n{meant}\n")

# SPDX-License-Identifier: EUPL-1.2
"""The guide for applications, and what the README says of real use: their commands do what they say, in order."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from hsm.runtime import runtime_directory
from tests.cli.servers import dev_server
from tests.house.tree import ROOT
from tests.integration.processes import PATIENCE
from tests.ports import free_port
from vault import __version__
from vault.engines.system.release import VERSION

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def environment(home: Path, **more: str) -> Mapping[str, str]:
    """What somebody's shell has, with our programs first on its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
    return {**kept, "HOME": str(home), "PATH": _PROGRAMS, **more}


def run(kind: str, text: str, where: Path, shell: Mapping[str, str]) -> str:
    """Run a block of the guide as it is printed; return what it prints."""
    program = (
        [sys.executable, "-c", text] if kind == "python" else ["bash", "-eu", "-o", "pipefail", "-c", text]
    )
    done = subprocess.run(
        program, env=shell, cwd=where, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, (text, done.stderr)
    return done.stdout


def test_programs_log_in_and_read_as_printed(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "applications.md").read_text(encoding="utf-8")
    with dev_server("coffre", tmp_path) as server:
        (tmp_path / ".vault-token").write_text(server.token)
        operator = environment(tmp_path, VAULT_ADDR=server.address)
        (tmp_path / "elsewhere").mkdir()  # hvac finds the operator's token in the home of the operator
        program = environment(tmp_path / "elsewhere", VAULT_ADDR=server.address)
        printed = [
            run(kind, text, tmp_path, program if kind == "python" else operator)
            for kind, text in _BLOCK.findall(guide)
        ]
        shown = [
            text for (kind, _), text in zip(_BLOCK.findall(guide), printed, strict=True) if kind == "python"
        ]
        assert shown == ["correct-horse\n", "['billing', 'default']\n", "True\n"]
        *_, (_, again) = _BLOCK.findall(guide)
        twice = subprocess.run(
            [sys.executable, "-c", again],
            env=program,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (
            twice.stderr
            == "somebody else has unwrapped it, or it is too old: revoke the secret id and raise the alarm\n"
        )


def test_a_server_for_real_use_starts_and_opens_as_printed(tmp_path: Path) -> None:
    """With the directories of this test and its user, for a machine has one `/etc`, and not everybody may add users."""
    _, _, text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## For real use")
    port = free_port()
    for there, here in (
        ("0.0.0.0:8200", f"127.0.0.1:{port}"),
        ("127.0.0.1:8200", f"127.0.0.1:{port}"),
        ("/etc/coffre", f"{tmp_path}/etc"),
        ("/var/lib/coffre", f"{tmp_path}/lib"),
        ("/var/log/coffre", f"{tmp_path}/log"),
        ("/backup", f"{tmp_path}/backup"),
        (" -o coffre -g coffre", ""),
        ("chgrp coffre", f"chgrp {os.getgid()}"),
        ("runuser -u coffre -- ", ""),
    ):
        assert there in text
        text = text.replace(there, here)
    (install, certificate, start, use), (config,) = (
        [block for kind, block in _BLOCK.findall(text) if kind == wanted] for wanted in ("sh", "hcl")
    )
    shell = environment(tmp_path)
    run(
        "sh",
        "".join(line for line in install.splitlines(True) if line.startswith("install ")),
        tmp_path,
        shell,
    )
    run("sh", certificate, tmp_path, shell)
    (tmp_path / "etc" / "config.hcl").write_text(config)
    test, serve = start.splitlines()
    run("sh", test, tmp_path, shell)
    log = (tmp_path / "server.log").open("w")
    with subprocess.Popen(["bash", "-c", f"exec {serve}"], env=shell, cwd=tmp_path, stderr=log) as server:
        try:
            address, *steps = use.splitlines()
            script = "\n".join(
                (
                    address,
                    f"for _ in $(seq {PATIENCE}); do vaultctl status > /dev/null 2>&1 && break; test $? = 2 && break; sleep 1; done",
                    *_answered(steps),
                )
            )
            run("sh", script, tmp_path, shell)
            assert (tmp_path / "backup" / "coffre.db").stat().st_size > 0
            _leave_root_and_make_it_again(address, tmp_path, shell)
        finally:
            server.terminate()
    log.close()
    said = (tmp_path / "server.log").read_text()
    assert server.returncode == 0
    assert f"server: started: version={__version__} api={VERSION} storage=sqlite" in said
    assert (tmp_path / "log" / "audit.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc" / "tls.key").stat().st_mode & 0o777 == 0o640


def _leave_root_and_make_it_again(address: str, where: Path, shell: Mapping[str, str]) -> None:
    """What the guide for operators says to do with the root token, and how its holders get another one."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (body,) = re.findall(r"^## Initialise\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    *_, leave, again = [block for kind, block in _BLOCK.findall(body) if kind == "sh"]
    run("sh", f"{address}\n{leave}", where, shell)
    begin, give, decode = (line.partition(" # ")[0] for line in again.splitlines())
    script = f"""{address} VAULT_TOKEN="$(cat admin.token)"
{begin} > begun
nonce=$(sed -n 's/^Nonce *//p' begun) otp=$(sed -n 's/^OTP   *//p' begun)
for share in $(sed -n 's/^Unseal Key [123]: //p' shares); do {give} -nonce=$nonce $share; done > given
encoded=$(sed -n 's/^Encoded Token *//p' given)
VAULT_TOKEN=$({decode.replace("ENCODED", "$encoded").replace("OTP", "$otp")}) vaultctl token lookup"""
    assert re.search(r"^policies +\[root\]$", run("sh", script, where, shell), re.MULTILINE)


def test_the_unit_lets_its_user_write_what_the_guides_have_it_write() -> None:
    """And what a wrong PIN leaves behind outlives a restart, which a private `/tmp` would not."""
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (unit,) = [text for kind, text in _BLOCK.findall(guide) if kind == "ini" and "ExecReload=" in text]
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    runtime = f"/run/{settings['RuntimeDirectory']}"
    may = [*settings["ReadWritePaths"].split(), runtime]
    written = re.findall(
        r'\b(?:path|pid_file) += "(/[^"]+)"|\bfile_path = "(/[^"]+)"',
        guide + (ROOT / "README.md").read_text(encoding="utf-8"),
    )
    assert {str(Path(one or other).parent) for one, other in written} == set(may)
    assert f"$(cat {runtime}/coffre.pid)" in guide
    assert runtime_directory({"RUNTIME_DIRECTORY": runtime}).is_relative_to(runtime)
    assert (settings["RuntimeDirectoryPreserve"], settings["RuntimeDirectoryMode"]) == ("yes", "0700")


def _answered(steps: list[str]) -> list[str]:
    """The steps, with the answers of whoever types shares and a token."""
    lines = []
    for step in steps:
        if step.startswith("vaultctl operator init"):
            lines.append(f"{step.partition('#')[0]} > shares")
        elif step.startswith("vaultctl operator unseal"):
            lines.append(
                "for share in $(sed -n 's/^Unseal Key [123]: //p' shares); do vaultctl operator unseal $share; done"
            )
        elif step.startswith("vaultctl login"):
            lines.append("sed -n 's/^Initial Root Token: //p' shares | vaultctl login -")
        else:
            lines.append(step)
    return lines

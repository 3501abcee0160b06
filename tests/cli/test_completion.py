# SPDX-License-Identifier: EUPL-1.2
"""What a shell offers for arguments: mounts, paths, policies; and nothing that a shell would act on."""

import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Case, Theatre, theatre
from tests.house.tree import ROOT
from tests.ports import free_port
from vaultctl.commands.completion.script import _bash
from vaultctl.main import run

_MOUNTS = {
    "data": {
        "secret": {"secret/": {"type": "kv"}, "nhi/": {"type": "nhi"}, "team/kv/": {"type": "kv"}},
        "auth": {"userpass/": {"type": "userpass"}, "token/": {"type": "token"}},
    }
}
_ANSWERS: dict[str, tuple[int, object]] = {
    "GET /v1/sys/internal/ui/mounts": (200, _MOUNTS),
    "GET /v1/sys/policies/acl?list=true": (
        200,
        {"data": {"keys": ["--help", "-address=http:", "=ls", "default", "reader", "root"]}},
    ),
    "GET /v1/secret/metadata?list=true": (200, {"data": {"keys": ["app", "a b", "$(touch x)", "team/"]}}),
    "GET /v1/secret/metadata/team?list=true": (200, {"data": {"keys": ["x"]}}),
    "GET /v1/sys/plugins/catalog/auth?list=true": (200, {"data": {"keys": ["approle", "userpass"]}}),
    "GET /v1/sys/plugins/catalog/secret?list=true": (200, {"data": {"keys": ["kv", "nhi", "totp"]}}),
    "GET /v1/nhi/registrations?list=true": (200, {"data": {"keys": ["billing", "mailer"]}}),
    "GET /v1/team/ids/workloads?list=true": (200, {"data": {"keys": ["b1", "b2"]}}),
    "GET /v1/nhi/workloads?list=true": (200, {"data": {"keys": ["export"]}}),
    "GET /v1/sys/namespaces?list=true": (200, {"data": {"keys": ["team-a/"]}}),
    "GET /v1/sys/seal-slots?list=true": (200, {"data": {"keys": ["hsm-a", "shamir"]}}),
    "GET /v1/auth/approle/role?list=true": (200, {"data": {"keys": ["billing"]}}),
}


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("kv get ''", "secret/ team/kv/"),
        ("kv get sec", "secret/"),
        ("kv get secret/a", "secret/app"),
        ("kv get secret/", "secret/app secret/team/"),
        ("kv get secret/team/", "secret/team/x"),
        ("kv get -mount = secret te", "team/"),
        ("kv get -mount=secret te", "team/"),
        ("kv get secret/app ''", ""),
        ("run secret/app secret/te", "secret/team/"),
        ("run secret/app -- se", ""),
        ("read auth/", "auth/token/ auth/userpass/"),
        ("read auth/approle/role/", "auth/approle/role/billing"),
        ("policy read r", "reader root"),
        ("policy read ''", "default reader root"),
        ("policy read -", ""),
        ("token create -policy = re", "reader"),
        ("token create -policy re", "reader"),
        ("token create -policy=re", "-policy=reader"),
        ("kv get --format=j", "--format=json"),
        ("kv get -mount=sec", ""),
        ("kv get -=x", ""),
        ("secrets tune n", "nhi/"),
        ("auth disable u", "userpass/"),
        ("kv enable-versioning t", "team/kv/"),
        ("auth enable ''", "approle userpass"),
        ("auth enable -path = x us", "userpass"),
        ("auth enable -path = us", ""),
        ("secrets enable k", "kv kv-v2"),
        ("nhi issue ''", "billing mailer"),
        ("nhi register -secret b", "billing"),
        ("nhi register -mount = nhi -workload = e", "export"),
        ("nhi workload read -mount=team/ids b", "b1 b2"),
        ("nhi credentials -workload ex", "export"),
        ("nhi failures -registration = m", "mailer"),
        ("namespace delete t", "team-a/"),
        ("operator seal-slots remove h", "hsm-a"),
        ("login -method = us", "userpass"),
        ("login -method k", "kubernetes"),
        ("nhi tree -format d", "dot"),
        ("run -env=X=secret/a", "-env=X=secret/app"),
        ("run -env=X", ""),
        ("run -env = X = secret/a", "secret/app"),
        ("kv get -version 2 sec", "secret/"),
        ("token create x", ""),
        ("kv get -nonsense x", ""),
        ("nonsense x", ""),
        ("''", ""),
    ],
)
def test_arguments_are_offered_as_the_server_lists_them(
    words: str, offered: str, stage: Theatre, tmp_path: Path
) -> None:
    shown = stage.by_vaultctl(Case(f"__complete {words}", _ANSWERS), tmp_path)
    assert (shown.stdout.split(), shown.code, shown.stderr) == (offered.split(), 0, "")


def test_what_is_asked_for_a_shell_is_not_wrapped(tmp_path: Path) -> None:
    """It would be a token in storage at each TAB, and nothing to offer."""
    enable_socket()
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hear() -> None:
            near, _ = listener.accept()
            with near:
                heads.append(near.recv(65536))

        heard = threading.Thread(target=hear)
        heard.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        run(
            ["__complete", "policy", "read", ""],
            environ={
                "HOME": str(tmp_path),
                "BAO_ADDR": address,
                "BAO_WRAP_TTL": "5m",
                "VAULT_WRAP_TTL": "5m",
            },
            stdin=io.StringIO(),
            stdout=io.StringIO(),
            stderr=io.StringIO(),
        )
        heard.join(60)
    assert heads[0].startswith(b"GET /v1/sys/policies/acl?list=true") and b"wrap" not in heads[0].lower()


def test_nothing_is_offered_and_nobody_waits_where_no_server_is(stage: Theatre, tmp_path: Path) -> None:
    nowhere = {"VAULT_ADDR": f"http://127.0.0.1:{free_port()}", "BAO_ADDR": f"http://127.0.0.1:{free_port()}"}
    began = time.monotonic()
    shown = stage.by_vaultctl(Case("__complete kv get secret/", environ=nowhere), tmp_path)
    assert (shown.stdout, shown.code, shown.stderr) == ("", 0, "")
    assert time.monotonic() - began < 2


def test_nobody_waits_for_a_server_that_drips(tmp_path: Path) -> None:
    """Each byte comes in time, and the answer never."""
    enable_socket()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with suppress(OSError):
                near, _ = listener.accept()
                with near:
                    near.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
                    while True:
                        near.sendall(b" ")
                        time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        port = listener.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "vaultctl", "__complete", "kv", "get", "secret/"],
            capture_output=True,
            check=False,
            timeout=30,
            env={"HOME": str(tmp_path), "VAULT_ADDR": f"http://127.0.0.1:{port}", "PATH": os.environ["PATH"]},
        )
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_a_refusal_offers_nothing(stage: Theatre, tmp_path: Path) -> None:
    refused: dict[str, tuple[int, object]] = {
        asked: (403, {"errors": ["permission denied"]}) for asked in _ANSWERS
    }
    shown = stage.by_vaultctl(Case("__complete policy read ''", refused), tmp_path)
    assert (shown.stdout, shown.code, shown.stderr) == ("", 0, "")


def test_bash_offers_what_the_server_lists(tmp_path: Path) -> None:
    """Through the script that people evaluate, with a `vaultctl` that answers as ours does."""
    program = tmp_path / "vaultctl"
    program.write_text(
        '#!/bin/sh\n[ "$1" = __complete ] && shift && printf "%s\\n" "$*" secret/app secret/team/\n'
    )
    program.chmod(0o700)
    ask = 'COMP_WORDS=(vaultctl kv get secret/); COMP_CWORD=3; _vaultctl; printf "%s\\n" "${COMPREPLY[@]}"'
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{_bash()}\n{ask}"], capture_output=True, text=True, check=True, env={"PATH": path}
    )
    assert done.stdout.split() == ["secret/", "secret/app", "secret/team/"]


@pytest.mark.parametrize("words", ["-format = s", "-format =", "--format = s", "-format s"])
def test_bash_asks_for_the_formats_that_a_command_has_of_its_own(words: str, tmp_path: Path) -> None:
    program = tmp_path / "vaultctl"
    program.write_text(f"#!{sys.executable}\nfrom vaultctl.main import main\nraise SystemExit(main())\n")
    program.chmod(0o700)
    ask = f'COMP_WORDS=(vaultctl env export {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _vaultctl; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", f"{_bash()}\n{ask}"],
        capture_output=True,
        text=True,
        check=True,
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "cli"),
            "HOME": str(tmp_path),
        },
    )
    assert done.stdout.split() == (["shell"] if words.endswith("s") else ["table", "json", "yaml", "shell"])


def test_zsh_which_evaluates_it_too_takes_no_part_for_a_modifier() -> None:
    """There neither offset nor length of a part may begin with a letter: zsh told of that at each TAB."""
    assert not re.search(r"\$\{[^}]*\]:(?:[A-Za-z&]|[^:}]*:[A-Za-z&])", _bash())


def test_zsh_which_takes_no_word_apart_gets_the_whole_of_a_flag_with_its_value(tmp_path: Path) -> None:
    program = tmp_path / "vaultctl"
    program.write_text('#!/bin/sh\n[ "$5" = -policy=re ] && echo -policy=reader\n')
    program.chmod(0o700)
    ask = 'COMP_WORDS=(vaultctl token create -ttl=1h -policy=re); COMP_CWORD=4; _vaultctl; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{_bash()}\n{ask}"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.stdout.split() == ["-policy=reader"]


def test_the_command_itself_completes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vaultctl", "__complete", "kv", "gte", "x"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")

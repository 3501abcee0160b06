# SPDX-License-Identifier: EUPL-1.2
"""The servers under measurement: started pinned to one core, set up alike over HTTP, stopped."""

import http.client
import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.perf.load import BenchError
from tests.tokens import KEY, pem, token

_START_SECONDS = 20.0
_POLICY = """
path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "auth/token/*" { capabilities = ["create", "read", "update"] }
path "transit/*" { capabilities = ["update"] }
path "ssh/sign/*" { capabilities = ["update"] }
"""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start one server: its name in the table, its command line and extra environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    token_sealed: bool = False
    """Whether a key slot opens it, so that initialising gives recovery shares."""
    folder: Path | None = None
    """Where it is started: `python -m` takes modules from there."""
    tls: bool = True

    @property
    def address(self) -> str:
        """Base address on loopback."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Running:
    """A started server and the seconds from its start until it answered a request."""

    program: Program
    process: subprocess.Popen[bytes]
    answering_after: float

    def resident_mebibytes(self) -> float:
        """Resident memory of the process and all its descendants, in MiB, shared pages counted each time."""
        return sum(map(resident_mebibytes, tree(self.process.pid)))

    def processor_seconds(self) -> float:
        """Seconds of processor time that the process and all its descendants have used so far."""
        return processor_seconds(self.process.pid)


def processor_seconds(pid: int) -> float:
    """Seconds of processor time that a process and all its descendants have used so far."""
    return sum(_processor_ticks(each) for each in tree(pid)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(program: Program, *, core: int, log: Path) -> Iterator[Running]:
    """Start the program pinned to `core`, wait for its first answer, and stop it at the end."""
    command = ["taskset", "-c", str(core), *program.command]
    environment = {**os.environ, **program.environment}
    with log.open("ab") as sink:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, cwd=program.folder, stdout=sink, stderr=sink)
        try:
            _await_answer(program, process, log)
            yield Running(program, process, time.perf_counter() - began)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def call(
    program: Program,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    token: str = "",
    *,
    patience: float = 30.0,
) -> dict[str, Any]:
    """One request for setting up, answered within `patience` seconds; returns the JSON object, if any."""
    text = _exchange(program, method, path, body, token, patience)
    parsed: dict[str, Any] = json.loads(text) if text.strip() else {}
    return parsed


def answer_bytes(program: Program, path: str, token: str) -> int:
    """How long the answer to a read of `path` is, in bytes."""
    return len(_exchange(program, "GET", path, None, token))


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a server that was set up: a share, the root token, and a token with one ACL policy."""

    share: str
    root: str
    reader: str


def set_up(program: Program, *, secret: Mapping[str, str], keys: int) -> str:
    """As `set_up_whole`; return the token that is measured."""
    return set_up_whole(program, secret=secret, keys=keys).reader


def set_up_whole(program: Program, *, secret: Mapping[str, str], keys: int) -> Keys:
    """Initialise, unseal, mount KV v2 at `secret/`, write `bench/0` to `bench/<keys - 1>`.

    The token that is measured is a service token, not root, that holds one ACL policy.
    """
    kind = "recovery" if program.token_sealed else "secret"
    made = call(program, "PUT", "sys/init", {f"{kind}_shares": 1, f"{kind}_threshold": 1})
    root = str(made["root_token"])
    share = "" if program.token_sealed else str(made["keys"][0])
    if share:
        call(program, "PUT", "sys/unseal", {"key": share})
    _await_active(program)
    call(program, "POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, root)
    call(program, "PUT", "sys/policies/acl/bench", {"policy": _POLICY}, root)
    wanted = {"policies": ["bench"], "ttl": "24h", "no_parent": True}
    token = str(call(program, "POST", "auth/token/create", wanted, root)["auth"]["client_token"])
    _first_write(program, token, secret)
    for number in range(keys):
        call(program, "POST", f"secret/data/bench/{number}", {"data": dict(secret)}, token)
    return Keys(share, root, token)


def set_up_logins(program: Program, root: str, token: str) -> tuple[Mapping[str, str], str]:
    """Enable AppRole and make a role; returns what logs in to it, and the accessor of `token`."""
    call(program, "POST", "sys/auth/approle", {"type": "approle"}, root)
    role = "auth/approle/role/bench"
    call(program, "POST", role, {"token_policies": ["bench"], "token_ttl": "1h"}, root)
    role_id = call(program, "GET", f"{role}/role-id", None, root)["data"]["role_id"]
    secret_id = call(program, "POST", f"{role}/secret-id", {}, root)["data"]["secret_id"]
    accessor = call(program, "GET", "auth/token/lookup-self", None, token)["data"]["accessor"]
    return {"role_id": str(role_id), "secret_id": str(secret_id)}, str(accessor)


def set_up_jwt(program: Program, root: str) -> Mapping[str, str]:
    """Enable JWT with a key of our own and make a role; returns what logs in to it."""
    call(program, "POST", "sys/auth/jwt", {"type": "jwt"}, root)
    call(program, "POST", "auth/jwt/config", {"jwt_validation_pubkeys": pem(KEY)}, root)
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "bench", "token_policies": ["bench"]}
    call(program, "POST", "auth/jwt/role/bench", {**role, "token_ttl": "1h"}, root)
    now = int(time.time())
    claims = {"sub": "bench", "aud": "bench", "iat": now, "exp": now + 86_400}
    return {"role": "bench", "jwt": token(claims)}


def set_up_biscuits(program: Program, root: str) -> tuple[str, Mapping[str, str]]:
    """Mount an issuer of Biscuits; returns its public key, and what logs in for one that may what `bench` says."""
    call(program, "POST", "sys/mounts/nhi", {"type": "nhi"}, root)
    call(program, "POST", "nhi/keys", {"algorithm": "ed25519"}, root)
    call(program, "POST", "nhi/workloads/bench", {"owner": "bench", "ttl": "1d"}, root)
    call(program, "POST", "nhi/registrations/bench", {"workload": "bench", "policies": ["bench"]}, root)
    made = call(program, "POST", "nhi/registrations/bench/secret", {}, root)["data"]
    key = call(program, "GET", "nhi/public-keys", None, root)["data"]["keys"][-1]
    login = {"client_id": str(made["client_id"]), "client_secret": str(made["client_secret"])}
    return f"{key['algorithm']}/{key['key_bytes']}", login


def _exchange(
    program: Program,
    method: str,
    path: str,
    body: Mapping[str, object] | None,
    token: str,
    patience: float = 30.0,
) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{program.address}/v1/{path}", data=data, method=method)
    if token:
        request.add_header("X-Vault-Token", token)
    with urllib.request.urlopen(request, context=_unverified(), timeout=patience) as answer:
        text: bytes = answer.read()
    return text


def _first_write(program: Program, token: str, secret: Mapping[str, str]) -> None:
    """A new KV v2 mount refuses requests for a moment while it upgrades; wait that out."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            call(program, "POST", "secret/data/bench/0", {"data": dict(secret)}, token)
        except urllib.error.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _await_active(program: Program) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            call(program, "GET", "sys/health")
        except urllib.error.HTTPError:
            time.sleep(0.1)
        else:
            return
    message = f"{program.name} was unsealed but did not become active"
    raise BenchError(message)


def _await_answer(program: Program, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a request is answered, whatever with: a port may take connections before anybody serves them."""
    deadline = time.monotonic() + _START_SECONDS
    where, context = ("127.0.0.1", program.port), _unverified()
    while time.monotonic() < deadline and process.poll() is None:
        asked = (
            http.client.HTTPSConnection(*where, context=context, timeout=_START_SECONDS)
            if program.tls
            else http.client.HTTPConnection(*where, timeout=_START_SECONDS)
        )
        try:
            asked.request("GET", "/v1/sys/seal-status")
            asked.getresponse()
        except OSError:
            time.sleep(0.002)
        else:
            return
        finally:
            asked.close()
    tail = log.read_text(errors="replace")[-2000:]
    message = f"{program.name} did not start:\n{tail}"
    raise BenchError(message)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def _processor_ticks(pid: int) -> int:
    """Ticks in user and system mode, also of children that ended (fields 14 to 17 of proc(5)'s `stat`); 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return sum(map(int, fields[11:15]))


def resident_mebibytes(pid: int) -> float:
    """Resident memory of one process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0

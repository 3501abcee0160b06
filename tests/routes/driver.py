# SPDX-License-Identifier: EUPL-1.2
"""The whole application in this process, driven as ASGI; and every route that it declares.

It is in memory, unless a run is of another kind of storage: then it may be two as well, which are asked in turn.
"""

import asyncio
import io
import json
import re
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Self

from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import rsa

from hsm.key_slot import KeySlot
from nhi.auth.userpass.install import install as install_userpass
from tests.clocks import MovedClock
from tests.lagging import LaggingStorage
from tests.routes.crew import Linked
from tests.routes.kinds import KINDS, Site, copy_of, entries_of, load, timers_of
from tests.routes.rounds import Rounds
from vault.engines.ssh.install import install as install_ssh
from vault.engines.ssh.keys.pairs import NewPair, new_pair
from vault.framework.clock import Entropy
from vault.framework.request.operation import Operation
from vault.framework.route import Parameter, Route
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.install import Install
from vault.server.compose.app import Vault
from vault.server.compose.catalog import ENGINES
from vault.server.compose.groups.capacities import USUAL, Capacities
from vault.server.config.seal_settings import HsmPolicy
from vault.server.config.settings import (
    AuditDevice,
    Config,
    Listener,
    LogSettings,
    StorageSettings,
    Telemetry,
)
from vault.server.workers.worker import is_for_first
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Storage, Timer
from vault.storage.sqlite.storage import SqliteStorage

METHODS = {
    Operation.READ: "GET",
    Operation.LIST: "LIST",
    Operation.SCAN: "SCAN",
    Operation.UPDATE: "POST",
    Operation.PATCH: "PATCH",
    Operation.DELETE: "DELETE",
}
MERGE_PATCH = "application/merge-patch+json"
Headers = Mapping[str, str | Sequence[str]]
"""By name: a value, or those of a header that comes more than once."""


@cache
def _pair_of_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _quick_pair(kind: str, bits: int) -> NewPair:
    """As usual, but that all pairs of RSA are one."""
    made = new_pair(kind, bits)
    return NewPair(_pair_of_rsa, slow=True) if made.slow else made


SWIFT_PAIRS: tuple[Install, ...] = tuple(
    partial(install_ssh, pairs=_quick_pair) if each is install_ssh else each for each in ENGINES
)
"""The usual engines, but that no pair of RSA is made, which takes a second where a default asks for one."""
QUICK_LOGINS: tuple[Install, ...] = tuple(
    partial(install_userpass, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    if each is install_userpass
    else each
    for each in SWIFT_PAIRS
)
"""Those, with argon2id as quick as it gets. Tests of what a password costs ask for `SWIFT_PAIRS`."""
ELSEWHERE = 'path "elsewhere/*" { capabilities = ["read", "update", "sudo"] }'
"""A policy that covers no route."""
_PLACE = re.compile(r"\{([a-z_]+)(?::[a-z]+)?\}")
_OF_EACH = re.compile(r"/sys/(?:seal|unseal|namespaces/.+/(?:seal|unseal))$")
_MOUNTED = {"cubbyhole", "identity", "kv", "system", "token"}
_LISTENER = Listener(kind="tcp", address="127.0.0.1:1", tls_disable=True)


@dataclass(frozen=True)
class Answer:
    """What the application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Target:
    """One declared route on a mount of its kind."""

    mount: str
    route: Route

    def __str__(self) -> str:
        return f"{self.method} {self.mount}{self.route.template}"

    @property
    def method(self) -> str:
        return METHODS[self.route.operation]

    def path(self, **captures: str) -> str:
        """The request target, with `x` for each capture that is not given."""
        return f"/v1/{self.mount}{_PLACE.sub(lambda place: captures.get(place[1], 'x'), self.route.template)}"

    @property
    def fields(self) -> list[Parameter]:
        """Parameters that come in the body or the query."""
        return [parameter for parameter in self.route.parameters.values() if not parameter.in_path]

    @property
    def bodied(self) -> bool:
        return self.method in {"POST", "PATCH"}


class Ahead(MovedClock):
    """A clock that begins with the second that the machine's is in, and goes on by what happens and as a test says.

    So what a token has left, say, is the same however long a busy machine takes between two lines of a test.
    """

    def __init__(self, now: int | None = None) -> None:
        """`now` is when it begins instead, in nanoseconds since the epoch."""
        super().__init__(time.time_ns() // 1_000_000_000 * 1_000_000_000 if now is None else now)

    def sleep(self, seconds: float = 0) -> None:
        """Let so many seconds pass and a moment more, for much of the server counts in milliseconds."""
        super().sleep(seconds + 0.001)


class Application:
    """The application, initialised and unsealed, with something at `x` of every mount.

    There are KV v2 at `secret/`, KV v1 at `plain/`, and every other kind of mount at its own name.

    Where it is several, they are workers of one server, or nodes on one database, and requests go to one after the other, as
    behind a balancer. `vault` is the first of them.
    """

    certificate: bytes | None = None
    """What the client shows in the TLS handshake."""
    make_site: ClassVar[Callable[[], Site]] = partial(Site, KINDS["memory"])
    """Makes where it keeps everything, unless it is given a storage."""
    _furnished: ClassVar[tuple[Storage, str] | None] = None
    """What the first application in memory held once it was furnished, and its unseal key: others begin as copies."""

    def __init__(
        self,
        storage: Storage | None = None,
        *,
        bare: bool = False,
        like: "Application | None" = None,
        beside: "Application | None" = None,
        outbound: tuple[str, ...] = (),
        slots: Sequence[KeySlot] = (),
        hsm: HsmPolicy | None = None,
        engines: Sequence[Install] = QUICK_LOGINS,
        capacities: Capacities = USUAL,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`storage` is its own unless given. `like` has what this one begins with;
        `beside` has the same storage open, and so what is there already.

        A `bare` one begins with nothing. So does one that `slots` open, if there are any.

        `engines` are what it is installed with; kinds other than the usual ones need a bare one too.
        `capacities` are how much it keeps.

        `outbound` are blocks of addresses that the server may ask although they are its own machine's.
        """
        self._outbound = outbound
        self._telemetry = telemetry or Telemetry()
        self._slots = slots
        self._engines = engines
        self._capacities = capacities
        self._hsm = hsm or HsmPolicy()
        self._site = type(self).make_site() if storage is None else None
        self.storages = [storage] if storage is not None else self._opened(self._site)
        self.storage: Storage = self.storages[0]
        self._copied = not bare and not slots and storage is None
        self._asked = 0
        self.sent = 0
        """How many of them the last request went to."""
        self.key = ""
        self.clock: Ahead = beside.clock if beside else Ahead(like.clock.nanos()) if like else Ahead()
        self._like = None if like is None else (like.copied(), like.key)
        self._beside = beside
        self._folder = tempfile.TemporaryDirectory(prefix="routes-")
        self.audit = Path(self._folder.name) / "audit.log"
        self.history = Path(self._folder.name) / "log"
        self.log = io.StringIO()
        self._runner = asyncio.Runner()
        self.client = ("127.0.0.1", 4711)
        self._rounds = Rounds()
        self.run(self._build())

    @staticmethod
    def _opened(site: Site | None) -> list[Storage]:
        assert site is not None
        return [site.open() for _ in range(site.kind.applications)]

    async def _build(self) -> None:
        crew: list[Linked] = []
        self.vaults = [self._vault_at(place, crew) for place in range(len(self.storages))]
        self.vault = self.vaults[0]
        known: tuple[Storage, str] | None = None
        if self._beside is not None:
            known = self._beside.storage, self._beside.key
        elif self._like is not None:
            known = self._like
        elif self._copied or await self._begins_as_others():
            known = Application._furnished
        if known is not None and self._beside is None:
            await load(known[0], self.storage)
        for vault in self.vaults:
            await vault.start()
            made = await vault.bootstrap_dev(
                root_token_id="root", mount_kv=True, unseal_key=self.key or (known and known[1])
            )
            self.key = self.key or made.unseal_key
        if known is None:
            await self._begin()
        if self._copied and known is None:
            Application._furnished = await copy_of(self.storage), self.key

    def _vault_at(self, place: int, crew: list[Linked]) -> Vault:
        """Make one of those that it is, not started yet. Workers come to know each other in a crew."""
        clock = self.clock
        workers = self._site is not None and self._site.kind.workers
        config = Config(
            listeners=(_LISTENER,),
            storage=StorageSettings(kind="inmem"),
            audit=(AuditDevice(kind="file", path="file", options={"file_path": str(self.audit)}),),
            log=LogSettings(path=str(self.history)),
            outbound_allow=self._outbound,
            hsm=self._hsm,
            telemetry=self._telemetry,
        )
        made = Vault(
            config,
            self.storages[place],
            clock=clock,
            entropy=Entropy(),
            metrics=Metrics(clock),
            log=Log(stream=self.log, level="trace", clock=clock),
            engines=self._engines,
            capacities=self._capacities,
            colleagues=Linked(crew, one_writes=True) if workers else None,
            reads_log=False,
        )
        made.key_slots.lifecycle.slots.join(self._slots)
        self._rounds.count(made._background)
        return made

    async def _begins_as_others(self) -> bool:
        """Whether a database that was given is to hold what others do: an empty one that nothing but shares opens."""
        if self._slots or self._engines is not QUICK_LOGINS or isinstance(self.storage, MemoryStorage):
            return False
        return not await self.storage.reader().list("", limit=1)

    async def _begin(self) -> None:
        await self.ask("POST", "/v1/sys/mounts/plain", {"type": "kv"}, token="root")
        for table, kind in self.mountable():
            await self.ask("POST", f"/v1/sys/{table}/{kind}", {"type": kind}, token="root")
        for target in ("secret/data/x", "secret/data/x", "plain/x", "cubbyhole/x", "sys/policies/acl/x"):
            body = {"data": {"a": {"b": 1}}, "policy": ELSEWHERE}
            await self.ask("POST", f"/v1/{target}", body, token="root")
        await self.ask("POST", "/v1/auth/approle/role/x", {"role_id": "x"}, token="root")
        await self.ask("POST", "/v1/auth/userpass/users/x", {"password": "x"}, token="root")

    def mountable(self) -> list[tuple[str, str]]:
        """The kinds of mount that a new server has not: each with the part of `sys/` that mounts it."""
        names = self.vault.catalog.names
        return [
            (table, kind)
            for table in ("mounts", "auth")
            for kind in names(auth=table == "auth")
            if kind not in _MOUNTED
        ]

    @staticmethod
    def state() -> dict[str, Any]:
        """What a connection adds to the scope of its requests."""
        return {"listener": _LISTENER, "client_certificate": None}

    def run(self, work: Any) -> Any:
        """Run a coroutine on the application's own loop, without the runner's care for interrupts, which costs more.

        What its background work writes then ends first: nothing happens here while others run.
        """
        loop = self._runner.get_loop()
        done = loop.run_until_complete(work)
        for storage in self.storages:
            if isinstance(storage, SqliteStorage):
                loop.run_until_complete(storage._group._idle.wait())
            elif isinstance(storage, LaggingStorage) and storage.claimed:
                loop.run_until_complete(storage.rest())
        return done

    async def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        token: str = "",
        headers: Headers | None = None,
    ) -> Answer:
        """Send one request, a moment after the last. A body that is no bytes is sent as JSON."""
        self.clock.sleep()
        path, _, query = target.partition("?")
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        wanted: dict[str, str | Sequence[str]] = {"x-vault-token": token, **(headers or {})}
        if method == "PATCH":
            wanted.setdefault("content-type", MERGE_PATCH)
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("utf-8"),
            "query_string": query.encode(),
            "headers": [
                (name.encode(), value.encode("latin-1"))
                for name, given in wanted.items()
                for value in ([given] if isinstance(given, str) else given)
                if value
            ],
            "client": self.client,
            "state": {**self.state(), "client_certificate": self.certificate},
        }
        vault = self._turn(scope)
        answer = await self._answer(vault, scope, sent)
        self.sent = 1
        if vault is self.vault and self._on_each(scope, answer):
            for other in self.vaults[1:]:
                await self._answer(other, scope, sent)
                self.sent += 1
        return answer

    @staticmethod
    async def _answer(vault: Vault, scope: dict[str, Any], sent: bytes) -> Answer:
        out: list[Any] = []

        arriving = [{"type": "http.request", "body": sent, "more_body": False}]

        async def receive() -> Any:
            return arriving.pop() if arriving else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            out.append(message)

        await vault({**scope}, receive, send)
        start, *rest = out
        found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], found, b"".join(part["body"] for part in rest))

    def _turn(self, scope: dict[str, Any]) -> Vault:
        """Return whom a request goes to: of several the next, but on nodes the first where people go on with something."""
        if len(self.vaults) == 1:
            return self.vault
        assert self._site is not None
        if not self._site.kind.workers and is_for_first(scope, one_writes=False, sealed=True):
            return self.vault
        self._asked += 1
        return self.vaults[self._asked % len(self.vaults)]

    def _on_each(self, scope: dict[str, Any], answer: Answer) -> bool:
        """Whether an operator does what was done on one node on each of them: these are sealed and unsealed by themselves."""
        nodes = len(self.vaults) > 1 and self._site is not None and not self._site.kind.workers
        return nodes and answer.status < 300 and _OF_EACH.search(scope["path"]) is not None

    def request(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        token: str = "",
        headers: Headers | None = None,
    ) -> Answer:
        """As `ask`, from outside the loop."""
        answer: Answer = self.run(self.ask(method, target, body, token=token, headers=headers))
        return answer

    def work(self) -> None:
        """Run the timers that are due, and wait until what ends by them is taken back."""
        self.run(self._rounds.work(self.vaults))

    def settle(self) -> None:
        """Run timers until none is due, nor run by what the vaults do by themselves."""
        self.run(self._rounds.settle())

    def another_server(self) -> "Application":
        """Return one more that has the same storage, to be closed before this one."""
        storage = self.storage if self._site is None else self._site.open()
        return Application(storage, beside=self)

    def copied(self) -> MemoryStorage:
        """Return a copy of all that it keeps; it may be closed, if it is in memory."""
        if isinstance(self.storage, MemoryStorage):
            return asyncio.run(copy_of(self.storage))
        made: MemoryStorage = self.run(copy_of(self.storage))
        return made

    def stored(self) -> dict[str, bytes]:
        """Return all that it keeps."""
        found: dict[str, bytes] = self.run(entries_of(self.storage))
        return found

    def timers(self) -> list[Timer]:
        """Return all timers that it has set."""
        found: list[Timer] = self.run(timers_of(self.storage))
        return found

    def reopen(self) -> None:
        """Unseal again, if a request sealed the vault."""
        if any(vault.ground.barrier.sealed for vault in self.vaults):
            self.request("PUT", "/v1/sys/unseal", {"key": self.key})

    def token(self, policy: str) -> str:
        """Make a token that holds one policy, of this text, and nothing else."""
        name = f"only-{zlib.crc32(policy.encode())}"
        done = self.request("PUT", f"/v1/sys/policies/acl/{name}", {"policy": policy}, token="root")
        assert done.status == 204, done.body
        body = {"policies": [name], "no_default_policy": True}
        made = self.request("POST", "/v1/auth/token/create", body, token="root")
        token: str = made.json()["auth"]["client_token"]
        return token

    def records(self, having: re.Pattern[str] | None = None) -> list[Any]:
        """The audit records since the last look, or those of them in whose text a pattern is found."""
        lines = self.audit.read_bytes().splitlines()
        os_truncate(self.audit)
        return [json.loads(line) for line in lines if having is None or having.search(line.decode())]

    def logged(self, having: re.Pattern[str] | None = None) -> list[Any]:
        """The records of the log since its beginning, or those of them in whose text a pattern is found."""
        lines = [line for file in self.history.rglob("*.jsonl") for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines if having is None or having.search(line)]

    def close(self) -> None:
        for vault in reversed(self.vaults):
            self._runner.run(vault.stop())
        for storage in self.storages:
            if self._beside is None or storage is not self._beside.storage:
                self._runner.run(storage.close())
        self._runner.close()
        if self._site is not None:
            self._site.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def os_truncate(file: Path) -> None:
    """Empty a file that somebody appends to."""
    with file.open("r+b") as opened:
        opened.truncate(0)


def targets() -> list[Target]:
    """Every route of every kind of mount, in order of their names."""
    with Application() as application:
        found = [
            Target(mount.mounted.path, route)
            for mount in application.vault.mounts.router.root
            for route in mount.backend.routes.declared
        ]
    return sorted(found, key=str)


TARGETS = targets()

# SPDX-License-Identifier: Apache-2.0
"""What a test is given: callers, things of its own, and ways to say what must hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from esa_conformance.binding.client import TOKENS, Client
from esa_conformance.binding.leases import Leases
from esa_conformance.binding.replies import Reply
from esa_conformance.binding.transit import Transit
from esa_conformance.errors import ConformanceError, Missed, PreconditionFailed, UnknownOutcome, Unsupported
from esa_conformance.run.credentials import WRAPPED_S
from esa_conformance.run.seal import await_seal, unseal
from esa_conformance.run.state import State

_T = TypeVar("_T")
TOKEN_TTL = "10m"  # noqa: S105 - how long a credential lives
_SECRETS = {"type": "kv", "options": {"version": "2"}}
_WRAPPED_FOR = f"{WRAPPED_S}s"


@dataclass(frozen=True)
class Caller:
    """A credential that a test had made."""

    client: Client
    accessor: str
    reply: Reply


class Trial:
    """One attempt at one test. What a text says of a failure holds no value that was sent."""

    def __init__(self, state: State, feature: str) -> None:
        self._state = state
        self._feature = feature
        self.warnings: list[str] = []

    # --------------------------------------------------------------------------------------- callers
    @property
    def kv(self) -> Client:
        """Who may read, write and list below the base path."""
        return self._state.callers["kv"]

    @property
    def admin(self) -> Client:
        """Who may write policies and have credentials made."""
        return self._state.callers["admin"]

    @property
    def nobody(self) -> Client:
        """A caller without credential."""
        return self._state.nobody

    @property
    def denied(self) -> Client:
        """Who has a credential and no right below the base path."""
        if "denied" not in self._state.callers:
            self._state.callers["denied"] = self.caller({}).client
        return self._state.callers["denied"]

    @property
    def seal_key(self) -> str:
        """What unseals the server."""
        if self._state.seal_key is None:
            raise ConformanceError("hooks.seal_key is not given")
        return self._state.seal_key

    @property
    def state(self) -> State:
        """The run."""
        return self._state

    # --------------------------------------------------------------------------------- things of its own
    def secret(self, suffix: str = "", *, within: Client | None = None) -> str:
        """The path of a secret that does not exist yet; it may be written from now on."""
        client = within or self.kv
        return self._state.name("secret", suffix=suffix, mount=client.where.mount)[0]

    def folder(self) -> str:
        """The name of a folder of this test, for `secret_below`."""
        return self._state.new_name()

    def secret_below(self, folder: str, child: str) -> str:
        """The path of a secret in a folder that `folder` gave, with any name."""
        path = f"{folder}/{child}"
        self._state.note("secret", path, mount=self.kv.where.mount)
        return path

    def text(self) -> str:
        """A text to be kept secret: no other has it, and it is known in every transcript."""
        return f"{self._state.canary}-{self._state.number()}"

    def value(self) -> dict[str, object]:
        """A small secret."""
        return {"text": self.text()}

    def wrapped(self, path: str, *, by: Client | None = None) -> Reply:
        """Read a secret of this test's own, by default as who may, and have the answer wrapped."""
        number = self._state.note("wrapping", path)
        reply = (by or self.kv).get(path, headers={"X-Vault-Wrap-TTL": _WRAPPED_FOR})
        self._state.wrapped(number, reply)
        return reply

    def wrapped_token(self, maker: Client, **members: object) -> Reply:
        """Have a credential made whose answer is wrapped; the cleanup knows both."""
        _, number = self._state.name("wrapping")
        name, _ = self._state.name("token")
        body = {"ttl": TOKEN_TTL, **members, "display_name": name}
        reply = maker.send("POST", TOKENS, body, headers={"X-Vault-Wrap-TTL": _WRAPPED_FOR})
        self._state.wrapped(number, reply)
        return reply

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """Have the server sealed until the end of the block, which every other client of it notices."""
        number = self._state.name("seal", namespace="")[1]
        try:
            try:
                sealed = self.admin.within("").send("POST", "sys/seal", {})
            except UnknownOutcome:
                await_seal(self.nobody.within(""))
                raise
            self.done(sealed, "the server is sealed")
            yield
        finally:
            if unseal(self.nobody.within(""), self.seal_key):
                self._state.removed(number)

    def policy(self, rules: Mapping[str, Sequence[str]]) -> str:
        """A new policy; its name."""
        name, _ = self._state.name("policy")
        self.done(self.admin.write_policy(name, rules), "a policy is written")
        return name

    def caller(
        self,
        rules: Mapping[str, Sequence[str]] | None = None,
        *,
        maker: Client | None = None,
        **members: object,
    ) -> Caller:
        """A new credential with the rights that `rules` grant, which nothing else has."""
        if rules is not None:
            members["policies"] = [self.policy(rules)] if rules else ["default"]
        reply = self.have_token(maker or self.admin, **members)
        self.done(reply, "a credential is made")
        self.need(reply.token != "", "a credential is given")
        return Caller(self.kv_place.using(reply.token), reply.accessor, reply)

    def have_token(self, maker: Client, **members: object) -> Reply:
        """Ask for a credential; it is known to the cleanup, refused or not."""
        name, number = self._state.name("token")
        reply = maker.create_token(**{"ttl": TOKEN_TTL, **members, "display_name": name})
        self._state.made(number, reply.accessor)
        return reply

    def mount(self) -> Client:
        """The administrator at a new mount of secrets."""
        made = self.admin.at(self._new_mount(_SECRETS))
        return self._ready(made)

    def mount_within(self, namespace: str, name: str) -> None:
        """Have secrets mounted under a name in a namespace that a test made, and which is removed with it."""
        within = self.admin.within(namespace)
        self.done(within.send("POST", f"sys/mounts/{name}", _SECRETS), "a mount is made")
        self._ready(within.at(name))

    def _ready(self, made: Client) -> Client:
        for _ in range(600):
            if made.metadata("none").absent:
                return made
            time.sleep(0.05)
        raise PreconditionFailed("a new mount takes requests")

    def transit(self) -> Transit:
        """The administrator at a new mount of keys."""
        return Transit(self.admin, self._new_mount({"type": "transit"}))

    def leases(self, **config: object) -> Leases:
        """The administrator at a new mount of one-time passwords, with settings such as `max_lease_ttl`."""
        return Leases(self.admin, self._new_mount({"type": "ssh", "config": config}))

    def _new_mount(self, body: Mapping[str, object]) -> str:
        name, _ = self._state.name("mount")
        self.done(self.admin.send("POST", f"sys/mounts/{name}", body), "a mount is made")
        return name

    def limited(self) -> Client:
        """The administrator at a new mount of secrets that serves one request a second."""
        made = self.mount()
        name, _ = self._state.name("quota", namespace="")
        path = f"{self._state.namespace}/{made.where.mount}".lstrip("/")
        body = {"rate": 1, "interval": "1s", "path": path}
        self.served(
            made.within("").send("POST", f"sys/quotas/rate-limit/{name}", body).ok, "a limit can be set"
        )
        return made

    def auth(self, kind: str) -> str:
        """A new way to log in, of a kind such as approle; the name of its mount."""
        name, _ = self._state.name("auth")
        reply = self.admin.send("POST", f"sys/auth/{name}", {"type": kind})
        self.served(reply.ok, f"a log-in of kind {kind} can be mounted")
        return name

    def new_namespace(self) -> str:
        """A new namespace, as it is named from the root."""
        here = self._state.namespace
        name, _ = self._state.name("namespace", parent=f"{here}/" if here else "")
        reply = self.admin.send("POST", f"sys/namespaces/{name.rpartition('/')[2]}", {})
        self.served(reply.ok, "a namespace can be made")
        return name

    @property
    def kv_place(self) -> Client:
        """A caller of nobody at the base path, to be given a credential."""
        return self._state.callers.get("kv", self.admin).using(None)

    # -------------------------------------------------------------------------------------- together
    def together(self, count: int, work: Callable[[int], _T]) -> list[_T]:
        """Do something `count` times at once; what each returned."""
        barrier = threading.Barrier(count)

        def begin(number: int) -> _T:
            barrier.wait(30)
            return work(number)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(begin, range(count)))

    # ------------------------------------------------------------------------------------ what holds
    def must(self, holds: bool, what: str) -> None:
        """Fail the test unless `holds`. `what` says what must hold."""
        if not holds:
            raise Missed(what)

    def should(self, holds: bool, what: str) -> None:
        """Warn unless `holds`."""
        if not holds:
            self.warnings.append(what)

    def equal(self, got: object, wanted: object, what: str) -> None:
        """Fail the test unless both are equal, as JSON has it: true is not 1."""
        self.must(_same(got, wanted), what)

    def every(self, replies: Iterable[Reply], judge: Callable[[Reply], bool], what: str) -> None:
        """Fail the test unless `judge` is true of all."""
        wrong = sorted({reply.status for reply in replies if not judge(reply)})
        self.must(not wrong, f"{what} (status {', '.join(map(str, wrong))})")

    def is_so(self, reply: Reply, holds: bool, what: str) -> None:
        """Fail the test unless `holds`, and tell the status of the answer."""
        self.must(holds, f"{what} (status {reply.status})")

    def done(self, reply: Reply, what: str) -> Reply:
        """Go on only where the server did what this test stands on but does not judge."""
        self.need(reply.ok, f"{what} (status {reply.status})")
        return reply

    def need(self, holds: bool, what: str) -> None:
        """Go on only where `holds`: else the test is skipped, and says why."""
        if not holds:
            raise PreconditionFailed(what)

    # -------------------------------------------------------------------------------------- features
    def told(self, feature: str = "") -> bool:
        """Whether the server or its manifest tells the feature, by default that of this test."""
        return (feature or self._feature) in self._state.told

    def served(self, holds: bool, what: str) -> None:
        """Go on where the feature is there; it is a failure that it is not only where it was told."""
        if holds:
            return
        if self.told():
            raise Missed(f"told, but not served: {what}")
        raise Unsupported(what)


def _same(got: object, wanted: object) -> bool:
    if isinstance(got, dict) and isinstance(wanted, dict):
        return got.keys() == wanted.keys() and all(_same(got[name], wanted[name]) for name in wanted)
    if isinstance(got, list) and isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(_same, got, wanted))
    return isinstance(got, bool) == isinstance(wanted, bool) and got == wanted

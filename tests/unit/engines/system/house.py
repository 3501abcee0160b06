# SPDX-License-Identifier: EUPL-1.2
"""A small vault around engines of sys/: the real pipeline, stores and barrier, in memory, with a fake clock."""

import asyncio
import io
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TextIO

import msgspec

from nhi.identity.entities.identities import Identities
from tests.calls import fill_call
from tests.unit.engines.driver import FakeClock
from vault.audit.broker import AUDIT_KIND, Broker
from vault.audit.device import DeviceConfig
from vault.audit.salts import Salts
from vault.barrier.barrier import Barrier
from vault.barrier.key import Key
from vault.barrier.keyring import Keyring
from vault.cache.follow import Follower
from vault.engines.cubbyhole.engine import Cubbyhole
from vault.engines.cubbyhole.model import EntryPath
from vault.engines.cubbyhole.response import CubbyholeResponseEngine
from vault.framework import schema
from vault.framework.call import Call, Namespace
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, VaultError
from vault.framework.keys.safe import Safe
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.route_table import RouteTable
from vault.framework.secret import Secret
from vault.framework.telemetry.log import Log
from vault.mount.entry import MOUNT_KIND
from vault.mount.router import Router
from vault.mount.table import Backend, Catalog, built_in
from vault.namespace.book import Namespaces
from vault.namespace.entry import NAMESPACE_KIND, NamespaceEntry
from vault.pipeline import Pipeline
from vault.policy.gate import Gate
from vault.policy.store import POLICY_KIND, PolicyEntry, PolicyStore
from vault.seal.records.record import CONFIG_PATH, SealConfig, encode
from vault.seal.records.sealwrap import SealWrap
from vault.seal.records.slots import Slots
from vault.storage.memory import MemoryStorage
from vault.token.authenticator import ServiceTokens
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import ROOT_ID, NamespaceId
from vault.values.times import Nanos, Seconds
from vault.wire.v1 import STATUS, error_body, escape_html, reply_body, unescaped_body
from vault.wrap.guard import WrappingGuard
from vault.wrap.signed import SignedTokens
from vault.wrap.signing_key import signing_keys
from vault.wrap.wrapper import Wrapper

CORE = "ns/root/"
_OPERATIONS = {"GET": "read", "POST": "update", "PUT": "update"}


class Answer(msgspec.Struct):
    """What a client would see."""

    status: int
    body: Any
    text: bytes

    @property
    def data(self) -> Any:
        """The data of the envelope."""
        return self.body["data"]

    @property
    def error(self) -> str:
        """The first message of a refusal."""
        return str(self.body["errors"][0])


class House:
    """One vault; `root` is its first token."""

    def __init__(
        self,
        *,
        devices: Sequence[DeviceConfig] = (),
        entropy: Entropy | None = None,
        audit_log: TextIO | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.entropy = entropy or Entropy()
        self.storage = MemoryStorage()
        self.barrier = Barrier(self.storage, now=self.clock.millis, random=os.urandom)
        self.follower = Follower(self.storage)
        self.namespaces = Namespaces(self.barrier)
        self.router = Router(self.barrier, self.namespaces, Catalog({}, {}))
        self.identities = Identities(self.clock, self.entropy, self.follower)
        self.tokens = TokenStore(self.entropy, self.namespaces.live, self.identities, self.router.has_login)
        self.policies = PolicyStore(lambda: self.follower.epoch)
        self.gate = Gate(self.policies, self.barrier)
        wraps = SealWrap(
            self.storage, self.barrier, Slots(), now=self.clock.millis, random=self.entropy.bytes
        )
        self.salts = Salts(wraps)
        self.audit = Broker(
            devices, self.salts, self.clock, self.entropy, Log(stream=audit_log or io.StringIO())
        )
        self.signing = signing_keys(wraps, self.barrier, self.entropy)
        self.safe = Safe(wraps, self.barrier, self.entropy.bytes)
        self.signed = SignedTokens(self.signing, "https://vault.example:8200")
        self.wrapper = Wrapper(self.tokens, self.clock, unescaped_body, escape_html, self.signed)
        self.mounts = self.router.root
        self.log = io.StringIO()
        self.pipeline = Pipeline(
            barrier=self.barrier,
            router=self.router,
            authenticators=(
                WrappingGuard(
                    ServiceTokens(self.tokens, self.barrier, self.follower),
                    self.wrapper,
                    self.tokens,
                    self.barrier,
                ),
            ),
            gate=self.gate,
            audit=self.audit,
            follower=self.follower,
            wrapper=self.wrapper,
            log=Log(stream=self.log),
        )
        self.root = ""
        self.factors_given: list[str] = []
        """Second factors that every request brings along."""
        self.basic = Secret("")
        self.bearer = False
        """Credentials of an Authorization header that every request brings along."""

    async def open(self, *engines: Engine) -> "House":
        """Serve `engines` below sys/, with a root token and the first policies."""
        entries = Cubbyhole()
        waiting = CubbyholeResponseEngine(
            self.wrapper,
            self.barrier,
            lambda call: entries.read_entry(call, EntryPath(path="response")),
        )
        private = (waiting, entries)
        self.router.catalog = Catalog(
            {
                ("system", ""): Backend(engines, RouteTable(engines)),
                ("cubbyhole", ""): Backend(private, RouteTable(private)),
            },
            {},
        )
        root = Key(bytes(32))
        async with self.storage.write() as tx:
            config = SealConfig(generation="1", slots=("shamir",), confirmed=True)
            await tx.put(CONFIG_PATH, encode(CONFIG_PATH, config))
            await self.barrier.create_in(tx, root, Keyring.create(self.clock.millis(), os.urandom))
        await self.barrier.load(root)
        async with self.barrier.write(ROOT_ID, CORE) as core:
            await self.tokens.prepare(core)
            await self.policies.prepare(core, self.clock.nanos())
            for mount in built_in(self.entropy):
                await self.mounts.put(core, mount)
        await self.audit.prepare(
            self.barrier.reader(ROOT_ID, CORE), lambda: self.barrier.write(ROOT_ID, CORE)
        )
        await self.signing.prepare()
        await self.safe.keys.prepare()
        await self.tokens.load(self.barrier.reader(ROOT_ID, CORE))
        self.follower.own(POLICY_KIND, self.policies.drop)
        self.follower.own(NAMESPACE_KIND, self.router.drop_namespace)
        self.follower.own(MOUNT_KIND, self.router.drop)
        self.follower.own(AUDIT_KIND, self._load_audit)
        self.root = await self.token("root")
        await self.follower.catch_up()
        return self

    async def _load_audit(self, key: str | None) -> None:
        await self.audit.load(self.barrier.reader(ROOT_ID, CORE))

    async def namespace(self, path: str) -> Namespace:
        """Make a namespace, with the mounts and policies of a new one; `path` without its last slash."""
        entry = NamespaceEntry(
            id=NamespaceId(self.entropy.base62(6)), uuid=self.entropy.uuid(), path=f"{path}/"
        )
        async with self.barrier.write(ROOT_ID, CORE) as core:
            await self.namespaces.put(core, entry)
            inner = core.space(entry.id)
            await self.policies.prepare(inner, self.clock.nanos(), entry.id)
            for mount in built_in(self.entropy, entry.as_namespace()):
                await self.router.fresh(entry.as_namespace()).put(inner, mount)
        await self.follower.catch_up()
        return entry.as_namespace()

    async def token(self, *policies: str, uses: int = 0, ttl: Seconds = Seconds(0)) -> str:
        """Create a token, without the default policy; `ttl` in seconds."""
        token = self.tokens.new_token()
        now = self.clock.nanos()
        entry = TokenEntry(
            accessor=self.tokens.new_accessor(),
            policies=tuple(sorted(policies)),
            path="auth/token/create",
            display_name="token",
            created=now,
            uses=uses,
            ttl=ttl,
            expires=Nanos(now + ttl * 1_000_000_000 if ttl else Nanos(0)),
        )
        async with self.barrier.write(ROOT_ID, CORE) as core:
            await self.tokens.create(core, token, entry)
        return token

    async def accessor(self, token: str) -> str:
        """Return a token's accessor."""
        entry = await self.tokens.get(self.barrier.reader(ROOT_ID, CORE), self.tokens.key(token))
        assert entry is not None
        return entry.accessor

    async def policy(self, name: str, text: str) -> None:
        """Store a policy."""
        async with self.barrier.write(ROOT_ID, CORE) as core:
            await self.policies.put(core, name, PolicyEntry(text=text, version=1, modified=Nanos(1)))

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        wrap: Seconds = Seconds(0),
        form: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request with the root token, or another one."""
        call = Call()
        call.id = self.entropy.uuid()
        call.now = self.clock.millis()
        fill_call(call, method=method, path=path)
        call.operation = Operation(_OPERATIONS.get(method, method.lower()))
        fill_call(
            call,
            headers=(),
            accept=b"",
            content_type=b"",
            factors=self.factors_given,
            basic=self.basic,
            bearer=self.bearer,
        )
        call.client_address, call.client_port = "", 0
        call.body = body if isinstance(body, bytes) else b"" if body is None else schema.encode(body)
        call.data = dict(query or {})
        call.token = Secret(self.root if token is None else token)
        fill_call(call, wrap_ttl=wrap, wrap_format=form)
        try:
            reply = await self.pipeline.handle(call)
            call.record.flush()  # no answer leaves before
        except VaultError as error:
            assert not self.log.getvalue()
            return _answer(STATUS[type(error)], error_body(error))
        if reply is None:
            return Answer(204, None, b"")
        return _answer(reply.status or 200, _body(reply, call))


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run one scenario to its end."""
    asyncio.run(scenario())


def _body(reply: Reply[object], call: Call) -> bytes:
    return reply.raw if reply.raw is not None else reply_body(reply, call.id)


def _answer(status: int, text: bytes) -> Answer:
    try:
        return Answer(status, schema.decode_object(text), text)
    except Malformed:
        return Answer(status, None, text)

# SPDX-License-Identifier: EUPL-1.2
"""`sys/audit`, `sys/audit-hash` and the request headers that are recorded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final

import msgspec

from vault.audit.audited_headers import carries_credentials
from vault.audit.broker import Broker
from vault.audit.device import DeviceConfig, DeviceFailure
from vault.audit.open_device import ALL_HASHED
from vault.framework.call import ROOT, Call
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc, Pairs
from vault.framework.limits import AT_ONCE
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, read, write

_REFUSED: Final = (
    "cannot enable audit device via API; use declarative, config-based audit device management instead"
)
_NO_JSONX: Final = 'jsonx formatting has been removed, consider switching to json by omitting "format" or setting it to "json"'
_FLAGS: Final = (
    ("log_raw", False),
    ("hmac_accessor", True),
    (ALL_HASHED, True),
    ("elide_list_responses", False),
)


class DevicePath(Params, frozen=True):
    """The name of a device."""

    path: Annotated[str, Doc("Name of the audit device.")]


class DeviceParams(Params, frozen=True):
    """A new device."""

    path: Annotated[str, Doc("Name of the audit device.")]
    type: Annotated[str, Doc("Kind of device: `file`.", clear=True)] = ""
    description: Annotated[str, Doc("What the device is for.")] = ""
    local: Annotated[bool, Doc("Whether the device is this cluster's own.", clear=True)] = False
    options: Annotated[Pairs, Doc("Options of the device, as `file_path`.")] = msgspec.field(
        default_factory=dict
    )


class AuditHashParams(Params, frozen=True):
    """A value to hash, and the device."""

    path: Annotated[str, Doc("Name of the audit device.")]
    input: Annotated[str, Doc("The value to hash.")] = ""


class HeaderPath(Params, frozen=True):
    """The name of a request header."""

    header: Annotated[str, Doc("Name of the header; case does not count.")]


class HeaderParams(Params, frozen=True):
    """How a request header is recorded."""

    header: Annotated[str, Doc("Name of the header; case does not count.")]
    hmac: Annotated[bool, Doc("Whether its values are hashed.", clear=True)] = False


class DeviceView(msgspec.Struct, frozen=True):
    """A device as the wire has it."""

    description: str
    local: bool
    options: Mapping[str, str]
    path: str
    type: str


class HashResult(msgspec.Struct, frozen=True):
    """The hash that a value has in a device's records."""

    hash: str


class HeaderView(msgspec.Struct, frozen=True):
    """How a request header is recorded."""

    hmac: bool


class Headers(msgspec.Struct, frozen=True):
    """All request headers that are recorded, by their names in lower case."""

    headers: dict[str, HeaderView]


class AuditEngine(Engine):
    """Audit devices in the API. The broker does the recording."""

    def __init__(self, broker: Broker, pool: Pool, *, allow_creation: bool, allow_prefix: bool) -> None:
        """`allow_creation`: the API may add devices; `allow_prefix`: they may have a prefix for each line.

        `pool` hashes what is long.
        """
        self._broker = broker
        self._pool = pool
        self._allow_creation = allow_creation
        self._allow_prefix = allow_prefix

    @read("audit", sudo=True, event="log.device.list")
    async def list_devices(self, call: Call) -> Reply[dict[str, DeviceView]]:
        """Show all audit devices. Needs sudo."""
        del call
        found = {_name(device.path): _view(device) for device in self._broker.devices}
        return Reply(dict(sorted(found.items())), embed=True)

    async def salt(self, call: Call, params: DeviceParams) -> bytes:
        """Return a salt for the device, before the transaction: an HSM may wrap it, and other writers must not wait."""
        return (
            await self._broker.salt_for(call.reader.space(ROOT.id), params.path)
            if self._allow_creation
            else b""
        )

    @write("audit/{path:path}", sudo=True, before="salt", event="log.device.enable")
    async def enable_device(self, call: Call, params: DeviceParams) -> None:
        """Add an audit device, where the configuration allows this. Needs sudo.

        A caller who may add a device chooses a file that the server writes to. It is safer to declare devices in the
        configuration.
        """
        check_length(path=params.path)
        if not self._allow_creation:
            raise Malformed(_REFUSED)
        config = DeviceConfig(
            path=params.path,
            kind=params.type,
            description=params.description,
            local=params.local,
            options=params.options,
            managed=False,
        )
        self._check(config)
        assert isinstance(call.prepared, bytes)
        await self._broker.enable(call.core, config, call.prepared)

    @delete("audit/{path:path}", sudo=True, event="log.device.disable")
    async def disable_device(self, call: Call, params: DevicePath) -> None:
        """Remove an audit device that was added through the API. Needs sudo."""
        device = self._find(params.path)
        await self._broker.disable(call.core, device.path if device is not None else params.path)

    @write("audit-hash/{path:path}", writes=False, event="log.hash")
    async def hash_value(self, call: Call, params: AuditHashParams) -> Reply[HashResult]:
        """Show the hash that a value has in the records of a device, to search for it."""
        if not params.input:
            raise Malformed('the "input" parameter is empty')
        device = self._find(params.path)
        if device is None:
            raise Malformed(f'unknown audit backend "{quote(_name(params.path))}"')
        slow = len(params.input) > AT_ONCE
        found = await self._pool.do(call, partial(self._broker.hash, device.path, params.input), slow=slow)
        return Reply(HashResult(found), embed=True)

    @read("config/auditing/request-headers", sudo=True, event="log.header.list")
    async def list_headers(self, call: Call) -> Reply[Headers]:
        """Show which request headers are recorded. Needs sudo."""
        del call
        found = {name: HeaderView(hashed) for name, hashed in sorted(self._broker.headers.items())}
        return Reply(Headers(found), embed=True)

    @read("config/auditing/request-headers/{header:path}", sudo=True, event="log.header.read")
    async def read_header(self, call: Call, params: HeaderPath) -> Reply[dict[str, HeaderView]]:
        """Show how a request header is recorded. Needs sudo."""
        del call
        hashed = self._broker.headers.get(params.header.lower())
        if hashed is None:
            raise Malformed("Could not find header in config")
        return Reply({params.header: HeaderView(hashed)}, embed=True)

    @write("config/auditing/request-headers/{header:path}", sudo=True, event="log.header.write")
    async def write_header(self, call: Call, params: HeaderParams) -> None:
        """Record a request header from now on; one that carries credentials only hashed. Needs sudo."""
        if carries_credentials(params.header.lower()) and not params.hmac:
            raise Malformed("this header carries credentials: set hmac to true")
        await self._broker.audit_header(call.core, params.header.lower(), hashed=params.hmac)

    @delete("config/auditing/request-headers/{header:path}", sudo=True, event="log.header.delete")
    async def delete_header(self, call: Call, params: HeaderPath) -> None:
        """Stop recording a request header. Needs sudo."""
        await self._broker.audit_header(call.core, params.header.lower(), hashed=None)

    def _find(self, path: str) -> DeviceConfig | None:
        return next((one for one in self._broker.devices if _name(one.path) == _name(path)), None)

    def _check(self, config: DeviceConfig) -> None:
        """Raise `Malformed` for a device that could not be opened at the next start."""
        if config.kind != "file":
            raise Malformed("unknown backend type: it is file")
        below = _name(config.path)
        for device in self._broker.devices:
            other = _name(device.path)
            if below.startswith(other) or other.startswith(below):
                raise Malformed("path already in use")
        if config.options.get("prefix") and not self._allow_prefix:
            raise Malformed("audit log prefixing is not allowed")
        form = config.options.get("format", "json")
        if form != "json":
            raise Malformed(_NO_JSONX if form == "jsonx" else "unknown format type: it must be json")
        try:
            for name, default in _FLAGS:
                config.flag(name, default=default)
        except DeviceFailure as failure:
            raise Malformed(str(failure)) from failure


def _name(path: str) -> str:
    """Return a device's name with its final slash; the configuration may leave the slash out."""
    return f"{path.removesuffix('/')}/"


def _view(device: DeviceConfig) -> DeviceView:
    return DeviceView(device.description, device.local, device.options, _name(device.path), device.kind)

# SPDX-License-Identifier: EUPL-1.2
"""`sys/external-keys`: keys in HSMs that engines use by reference, and which mounts may use them.

A config says how to reach a device, a key names one of its keys, a grant names a mount that may use it. The plugin
defines the fields of configs and keys. A device is asked before the transaction begins, never within one, so a device
that hangs does not block other writers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Protocol

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.engines.system.external_keys import store
from vault.engines.system.external_keys.store import ExternalKeyConfig, ExternalKeyEntry
from vault.framework.call import Call, MountFacts, Namespace
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound, Unavailable, UnsupportedPath
from vault.framework.fields import Doc, FieldKind, Json
from vault.framework.keys.external import ExternalKey
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, patch, read, write
from vault.token.authenticator import core_reader

Options = Mapping[str, Json]
"""A plugin's own fields, as the client gave them."""

_ALL: Final = "external-keys/configs"
_ONE: Final = "external-keys/configs/{config:name}"
_KEYS: Final = "external-keys/configs/{config:name}/keys"
_KEY: Final = "external-keys/configs/{config:name}/keys/{key:name}"
_GRANTS: Final = "external-keys/configs/{config:name}/keys/{key:name}/grants"
_GRANT: Final = "external-keys/configs/{config:name}/keys/{key:name}/grants/{mount:path}"
_REDACTED: Final = "(redacted)"
_CHANGED: Final = "it was changed while the device was asked; look at it and try again"


class KeyProvider(Protocol):
    """One kind of device."""

    @property
    def secrets(self) -> frozenset[str]:
        """The fields of a config that are never shown."""
        ...

    async def check_config(self, config: Options) -> None:
        """Try a config. Raises `Malformed` for one that cannot work, `Unavailable` when the device does not answer."""
        ...

    async def check_key(self, config: Options, key: Options) -> None:
        """Try a key. Raises as `check_config`."""
        ...

    async def open(self, ref: str, config: Options, key: Options) -> ExternalKey:
        """Return the key, ready for use. Raises as `check_config`."""
        ...


class ConfigPath(Params, frozen=True):
    """Which config."""

    config: Annotated[str, Doc("Name of the config.")]


class ConfigWrite(ConfigPath, frozen=True):
    """A config. The plugin's own fields come beside these."""

    plugin: Annotated[str, Doc("Name of the KMS plugin: pkcs11.", clear=True)] = ""
    verify: Annotated[
        bool,
        FieldKind("bool", keeps=True),
        Doc("Try the config with the device before it is stored.", clear=True),
    ] = True


class Page(Params, frozen=True):
    """Which part of a list."""

    after: Annotated[str, Doc("Show only names after this one.")] = ""
    limit: Annotated[int, Doc("How many names to show at most; 0 or less for all.", clear=True)] = 0


class KeyPage(Page, frozen=True, kw_only=True):
    """Which part of a config's list of keys."""

    config: Annotated[str, Doc("Name of the config.")]


class ExternalKeyPath(ConfigPath, frozen=True):
    """Which key."""

    key: Annotated[str, Doc("Name of the key.")]


class KeyWrite(ExternalKeyPath, frozen=True):
    """A key. The plugin's own fields come beside these."""

    verify: Annotated[
        bool,
        FieldKind("bool", keeps=True),
        Doc("Look for the key in the device before it is stored.", clear=True),
    ] = True


class GrantPath(ExternalKeyPath, frozen=True):
    """Which mount's use of which key."""

    mount: Annotated[str, Doc("Path of the mount; auth/… for an auth method.")]

    @property
    def path(self) -> str:
        """The mount's path with its one final slash."""
        return self.mount.rstrip("/") + "/"


class ConfigNames(msgspec.Struct, frozen=True):
    """Names, in order."""

    keys: Sequence[str]


class ExternalKeyEngine(Engine):
    """Configs, keys and grants of a namespace; also where engines find the keys (`vault.framework.keys.external`)."""

    def __init__(self, barrier: Barrier, providers: Mapping[str, KeyProvider]) -> None:
        """`providers` are the plugins by name."""
        self._barrier = barrier
        self.providers = providers

    @list_(_ALL, event="external_key.config.list")
    async def list_configs(self, call: Call, params: Page) -> ConfigNames:
        """List configs."""
        return await self._names(call, store.CONFIGS, params)

    @read(_ONE, event="external_key.config.read")
    async def read_config(self, call: Call, params: ConfigPath) -> Reply[Options]:
        """Read a config. Its secrets are not shown."""
        _check(params.config)
        config = await store.load_config(core_reader(self._barrier, call.namespace), params.config)
        if config is None:
            raise Malformed(f'config "{quote(params.config)}" not found')
        hidden = self._readable(config.plugin).secrets
        shown = {name: _REDACTED if name in hidden else value for name, value in config.options.items()}
        return Reply({**shown, "plugin": config.plugin})

    @write(_ONE, before="try_config", event="external_key.config.write")
    async def write_config(self, call: Call, params: ConfigWrite) -> None:
        """Create or replace a config. Its keys and their grants stay."""
        await self._put_config(call, params, _config_of(call, params))

    async def try_config(self, call: Call, params: ConfigWrite) -> ExternalKeyConfig:
        """Return the config to store; it is tried first, unless the client declined that."""
        return await self._try_config(_config_of(call, params), params)

    @patch(_ONE, before="try_patched_config", event="external_key.config.write")
    async def patch_config(self, call: Call, params: ConfigWrite) -> None:
        """Change a config: a field that is null is removed, one that is not given stays."""
        await self._put_config(call, params, await _patched(call, call.core, params))

    async def try_patched_config(self, call: Call, params: ConfigWrite) -> ExternalKeyConfig:
        """As `try_config`."""
        config = await _patched(call, core_reader(self._barrier, call.namespace), params)
        return await self._try_config(config, params)

    @delete(_ONE, event="external_key.config.delete")
    async def delete_config(self, call: Call, params: ConfigPath) -> None:
        """Remove a config with its keys and their grants. What is in the device stays there."""
        _check(params.config)
        await store.delete_config(call.core, params.config)

    @list_(_KEYS, event="external_key.key.list")
    async def list_keys(self, call: Call, params: KeyPage) -> ConfigNames:
        """List the keys of a config."""
        _check(params.config)
        return await self._names(call, store.keys_of(params.config), params)

    @read(_KEY, event="external_key.key.read")
    async def read_key(self, call: Call, params: ExternalKeyPath) -> Reply[Options]:
        """Read a key: which key of the device it names."""
        _check(params.config, params.key)
        view = core_reader(self._barrier, call.namespace)
        key = await store.find_key(view, params.config, params.key)
        self._readable((await store.owner(view, params.config)).plugin)
        return Reply(key.options)

    @write(_KEY, before="try_key", event="external_key.key.write")
    async def write_key(self, call: Call, params: KeyWrite) -> None:
        """Create or replace a key. Its grants stay."""
        old = await store.load_key(call.core, params.config, params.key)
        await self._put_key(call, params, _own(call, "verify"), old.grants if old else ())

    async def try_key(self, call: Call, params: KeyWrite) -> tuple[ExternalKeyConfig, Options]:
        """Return a key's config and the key to store; it is tried first, unless the client declined that."""
        _check(params.config, params.key)
        return await self._tried_key(call, params, _own(call, "verify"))

    @patch(_KEY, before="try_patched_key", event="external_key.key.write")
    async def patch_key(self, call: Call, params: KeyWrite) -> None:
        """Change a key: a field that is null is removed, one that is not given stays."""
        old = await store.find_key(call.core, params.config, params.key)
        options = store.merged(old.options, _own(call, "verify"))
        await self._put_key(call, params, options, old.grants)

    async def try_patched_key(self, call: Call, params: KeyWrite) -> tuple[ExternalKeyConfig, Options]:
        """As `try_key`."""
        _check(params.config, params.key)
        view = core_reader(self._barrier, call.namespace)
        await store.owner(view, params.config)
        old = await store.find_key(view, params.config, params.key)
        return await self._tried_key(call, params, store.merged(old.options, _own(call, "verify")))

    @delete(_KEY, event="external_key.key.delete")
    async def delete_key(self, call: Call, params: ExternalKeyPath) -> None:
        """Remove a key with its grants. What is in the device stays there."""
        _check(params.config, params.key)
        await store.delete_key(call.core, params.config, params.key)

    @list_(_GRANTS, event="external_key.grant.list")
    async def list_grants(self, call: Call, params: ExternalKeyPath) -> ConfigNames:
        """List the mounts that may use a key."""
        _check(params.config, params.key)
        view = core_reader(self._barrier, call.namespace)
        key = await store.find_key(view, params.config, params.key)
        if not key.grants:
            raise NotFound
        return ConfigNames(key.grants)

    @write(_GRANT, event="external_key.grant.write")
    async def write_grant(self, call: Call, params: GrantPath) -> None:
        """Let the mount at a path use a key. The path need not be mounted yet."""
        await self._grant(call, params, granted=True)

    @delete(_GRANT, event="external_key.grant.delete")
    async def delete_grant(self, call: Call, params: GrantPath) -> None:
        """Withdraw the grant of a mount."""
        await self._grant(call, params, granted=False)

    async def find(self, namespace: Namespace, mount: MountFacts, ref: str) -> ExternalKey:
        """See `ExternalKeys.find`."""
        config, key = await self._granted(namespace, mount, ref)
        return await self._provider(config.plugin).open(ref, config.options, key.options)

    async def require_grant(self, namespace: Namespace, mount: MountFacts, ref: str) -> None:
        """See `ExternalKeys.require_grant`."""
        await self._granted(namespace, mount, ref)

    async def _granted(
        self, namespace: Namespace, mount: MountFacts, ref: str
    ) -> tuple[ExternalKeyConfig, ExternalKeyEntry]:
        """Return the config and the key that `ref` names, if the mount may use it. Raises `Malformed`."""
        config_name, _, key_name = ref.partition(":")
        if not config_name or not key_name or ":" in key_name:
            raise Malformed('invalid key reference: must be "<config name>:<key name>"')
        view = core_reader(self._barrier, namespace)
        config = await store.load_config(view, config_name)
        key = await store.load_key(view, config_name, key_name)
        if config is None or key is None:
            raise Malformed(f'key "{quote(ref)}" does not exist')
        if mount.path not in key.grants:
            raise Malformed(f'mount "{quote(mount.path)}" is missing grant for key "{quote(ref)}"')
        return config, key

    async def _names(self, call: Call, prefix: str, page: Page) -> ConfigNames:
        view = core_reader(self._barrier, call.namespace)
        names = await view.list(prefix, after=page.after, limit=max(page.limit, 0))
        if not names:
            raise NotFound
        return ConfigNames(names)

    async def _try_config(self, config: ExternalKeyConfig, params: ConfigWrite) -> ExternalKeyConfig:
        if params.verify:
            await self._provider(config.plugin).check_config(config.options)
        return config

    async def _tried_key(
        self, call: Call, params: KeyWrite, options: Options
    ) -> tuple[ExternalKeyConfig, Options]:
        config = await store.owner(core_reader(self._barrier, call.namespace), params.config)
        if params.verify:
            await self._provider(config.plugin).check_key(config.options, options)
        return config, options

    @staticmethod
    async def _put_config(call: Call, params: ConfigWrite, config: ExternalKeyConfig) -> None:
        if params.verify and call.prepared != config:
            raise Unavailable(_CHANGED)
        await store.put_config(call.core, params.config, config)

    @staticmethod
    async def _put_key(
        call: Call, params: KeyWrite, options: dict[str, Json], grants: tuple[str, ...]
    ) -> None:
        config = await store.owner(call.core, params.config)
        if params.verify and call.prepared != (config, options):
            raise Unavailable(_CHANGED)
        await store.put_key(call.core, params.config, params.key, ExternalKeyEntry(options, grants))

    async def _grant(self, call: Call, params: GrantPath, *, granted: bool) -> None:
        _check(params.config, params.key)
        await store.owner(call.core, params.config)
        key = await store.find_key(call.core, params.config, params.key)
        others = [path for path in key.grants if path != params.path]
        grants = tuple(sorted([*others, params.path] if granted else others))
        await store.put_key(call.core, params.config, params.key, msgspec.structs.replace(key, grants=grants))

    def _provider(self, plugin: str) -> KeyProvider:
        provider = self.providers.get(plugin)
        if provider is None:
            raise Malformed("unknown plugin")
        return provider

    def _readable(self, plugin: str) -> KeyProvider:
        """Return the plugin that knows which fields are secret. Raises `Malformed`: without it nothing is shown."""
        try:
            return self._provider(plugin)
        except Malformed as unknown:
            raise Malformed(f"failed to read metadata: {unknown.message}") from None


def _config_of(call: Call, params: ConfigWrite) -> ExternalKeyConfig:
    """Return the config in a request."""
    _check(params.config)
    if not params.plugin:
        raise Malformed('missing required field "plugin"')
    return ExternalKeyConfig(params.plugin, _own(call, "plugin", "verify"))


async def _patched(call: Call, view: ReadView, params: ConfigWrite) -> ExternalKeyConfig:
    """Return the config in `view` with the changes of a request."""
    _check(params.config)
    config = await store.load_config(view, params.config)
    if config is None:
        raise Malformed(f'config "{quote(params.config)}" not found')
    options = store.merged(config.options, _own(call, "plugin", "verify"))
    return ExternalKeyConfig(params.plugin or config.plugin, options)


def _own(call: Call, *ours: str) -> dict[str, Json]:
    """Return the plugin's fields of the body: all but `ours`."""
    return {name: value for name, value in call.data.items() if name not in ours}


def _check(*names: str) -> None:
    """Raise `UnsupportedPath` for names that OpenBao's paths do not take."""
    if any("@" in name for name in names):
        raise UnsupportedPath

# SPDX-License-Identifier: EUPL-1.2
"""Rules for mounts: kinds, paths, settings. The refusals are in OpenBao's words, without input values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from vault.framework.errors import Malformed
from vault.framework.fields import Json, Mismatch, parse_duration, to_duration
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.log.values import LOG_VALUES
from vault.mount.entry import LockoutConfig, MountConfig
from vault.mount.table import Catalog
from vault.values.times import Seconds

OWN: Final = ("audit/", "auth/", "cubbyhole/", "identity/", "sys/")
"""Paths where only the server itself mounts."""
_SINGLE: Final = frozenset(
    {"system", "ns_system", "identity", "ns_identity", "cubbyhole", "ns_cubbyhole", "token", "ns_token"}
)
_TOKEN_TYPES: Final = frozenset({"default-service", "default-batch", "service", "batch"})
_VISIBILITIES: Final = frozenset({"", "hidden", "unauth"})
LOCKABLE: Final = frozenset({"approle", "userpass"})
"""Auth methods that lock names out after failed logins."""
_OWN_TERMS: Final = frozenset({"nhi"})
"""Kinds of mount whose registrations set the kind and the TTL of tokens."""
_NO_CONFIG: Final = "unable to convert given mount config information"
_LOCKOUT_TIMES: Final = {
    "lockout_duration": "duration",
    "lockout_counter_reset_duration": "counter_reset",
}
_LISTS: Final = (
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
)


def directory(path: str) -> str:
    """Return a mount's path with its one final slash."""
    return path.rstrip("/") + "/"


def new_directory(path: str) -> str:
    """As `directory`, for a new mount. Raises `Malformed` for a path over the length of names."""
    check_length(path=path)
    return directory(path)


def check_place(path: str) -> None:
    """Raise `Malformed` for paths where only the server mounts."""
    if path.startswith(OWN):
        raise Malformed(f'cannot mount "{quote(path)}"')


def choose_kind(name: str, plugin: str, options: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Resolve aliases: return the kind and its options. Raises `Malformed` where no kind is named."""
    if name == "plugin":
        if not plugin:
            raise Malformed("plugin_name must be provided for plugin backend")
        name = plugin
    if not name:
        raise Malformed("backend type must be specified as a string")
    if name in {"kv-v1", "kv-v2"}:
        return "kv", {**options, "version": name[-1]}
    return name, dict(options)


def check_log_values(options: Mapping[str, str]) -> None:
    """Raise `Malformed` where the options say wrongly what the log has of a mount's values."""
    if options.get(LOG_VALUES, "hash") not in {"hash", "omit"}:
        raise Malformed(f"{LOG_VALUES} must be hash or omit")


def check_secrets_kind(catalog: Catalog, kind: str, options: Mapping[str, str]) -> None:
    """Refuse a kind of secrets engine that cannot be mounted or does not exist."""
    if kind in _SINGLE:
        raise Malformed(f'mount type of "{quote(kind)}" is not mountable')
    if not catalog.knows(kind, auth=False):
        raise Malformed("type: plugin not found in the catalog")
    check_log_values(options)
    if kind != "kv" and options.get("version"):
        raise Malformed(f'secrets engine "{quote(kind)}" does not allow setting a version')
    if catalog.find(kind, options, auth=False) is None:
        raise Malformed(f'nil backend of type "{quote(kind)}" returned from factory')


def check_auth_kind(catalog: Catalog, kind: str, options: Mapping[str, str]) -> None:
    """Refuse a kind of auth method that does not exist."""
    if not catalog.knows(kind, auth=True):
        raise Malformed("type: plugin not found in the catalog")
    check_log_values(options)
    if options.get("version"):
        raise Malformed(f'auth method "{quote(kind)}" does not allow setting a version')


def check_single_auth(kind: str) -> None:
    """Refuse another token store."""
    if kind in {"token", "ns_token"}:
        raise Malformed("token credential backend cannot be instantiated")


def check_visibility(text: str) -> str:
    """Return a listing visibility. Raises `Malformed` for an unknown one."""
    if text not in _VISIBILITIES:
        raise Malformed("invalid listing_visibility: it must be hidden, unauth or empty")
    return text


def check_token_type(text: str) -> str:
    """Return a token type. Raises `Malformed` for an unknown one."""
    if text not in _TOKEN_TYPES:
        raise Malformed("invalid value for 'token_type'")
    return text


def check_terms(kind: str, config: MountConfig) -> None:
    """Refuse settings about tokens that a kind of mount would not heed. Raises `Malformed`."""
    if kind not in _OWN_TERMS:
        return
    if config.token_type:
        raise Malformed(
            f"'token_type' cannot be set for '{quote(kind)}' auth mounts: their tokens are Biscuits"
        )
    if config.default_lease_ttl:
        raise Malformed(
            f"'default_lease_ttl' cannot be set for '{quote(kind)}' mounts: each registration has a ttl of its own"
        )


def read_config(data: Mapping[str, Json], *, auth: bool, longest: Seconds) -> MountConfig:
    """Return the settings of a new mount; `longest` is the server's longest TTL in seconds.

    Stricter than parameters, as in OpenBao: only text and numbers are text, only booleans are boolean.
    """
    given = {name: value for name, value in data.items() if value is not None}
    if "user_lockout_config" in given:
        raise Malformed(_NO_CONFIG.replace("mount", "auth") if auth else _NO_CONFIG)
    lists: dict[str, Json] = {name: _list(given[name]) for name in _LISTS if name in given}
    no_cache = given.get("force_no_cache", False)
    if not isinstance(no_cache, bool):
        raise Malformed(_NO_CONFIG)
    default = _ttl("default", _text(given, "default_lease_ttl"))
    most = _ttl("max", _text(given, "max_lease_ttl"))
    if most and default > most:
        raise Malformed("given default lease TTL greater than given max lease TTL")
    if not most and default > longest:
        raise Malformed(f"given default lease TTL greater than system max lease TTL of {longest}")
    kind = _text(given, "token_type")
    return MountConfig(
        default_lease_ttl=default,
        max_lease_ttl=most,
        force_no_cache=no_cache,
        listing_visibility=check_visibility(_text(given, "listing_visibility")),
        token_type=check_token_type(kind) if auth and kind else "",
        **lists,
    )


def read_lockout(old: LockoutConfig, data: Mapping[str, Json]) -> LockoutConfig:
    """Return when failed logins lock a name, after a change. Raises `Malformed` that names the setting."""
    given: dict[str, Json] = {}
    if "lockout_threshold" in data:
        text = str(data["lockout_threshold"])
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise Malformed("unable to parse user lockout threshold: strconv.ParseUint: invalid syntax")
        given["threshold"] = int(text)
    for name, field in _LOCKOUT_TIMES.items():
        if name in data:
            try:
                given[field] = to_duration(data[name])
            except Mismatch as mismatch:
                raise Malformed(f"{name}: {mismatch}") from None
    if "lockout_disable" in data:
        if not isinstance(data["lockout_disable"], bool):
            raise Malformed("unable to convert given user lockout config information")
        given["disable"] = data["lockout_disable"]
    return msgspec.structs.replace(old, **given)


def _text(given: Mapping[str, Json], name: str) -> str:
    value = given.get(name, "")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Malformed(_NO_CONFIG)
    return str(value)


def _list(value: Json) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split(",")) if value else ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Malformed(_NO_CONFIG)
    return tuple(value)


def _ttl(which: str, text: str) -> Seconds:
    if text in {"", "system"}:
        return Seconds(0)
    try:
        return parse_duration(text)
    except Mismatch as mismatch:
        raise Malformed(f"unable to parse {which} TTL: {mismatch}") from None

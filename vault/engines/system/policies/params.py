# SPDX-License-Identifier: EUPL-1.2
"""Parameters and answers of `sys/policies` and `sys/policy`, and the checks that need no storage."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from vault.framework.clock import rfc3339
from vault.framework.errors import Malformed
from vault.framework.fields import Anything, Doc, Duration
from vault.framework.route import Params
from vault.policy.store import PolicyEntry
from vault.values.deprecation import OLD
from vault.values.times import Nanos, Seconds, nanos_after, seconds_to_nanos, time_after

_LATEST: Final = 1 << 63
"""Nanoseconds since the epoch that still fit into 64 bits: April 2262."""
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}+)\d*+)?(Z|[+-]\d\d:\d\d)")
_SECONDS = re.compile(r"[+-]?\d{1,18}")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIELD: Final = 'Field validation failed: error converting input for field "{}": {}'


class PolicyName(Params, frozen=True):
    """The name of a policy."""

    name: Annotated[str, Doc("Name of the policy; letters count as lower case.")]


class PolicyPrefix(Params, frozen=True):
    """The prefix of names to list."""

    prefix: Annotated[str, Doc("List only the names below this one.")]


class PolicyWrite(Params, frozen=True):
    """A policy and its settings. A write resets what is not given, a patch keeps it."""

    name: Annotated[str, Doc("Name of the policy; letters count as lower case.")]
    policy: Annotated[str | None, Doc("The rules, in HCL or JSON, possibly base64 encoded.")] = None
    cas: Annotated[
        int | None, Doc("Write only if this is the current version; -1: only a new policy.", clear=True)
    ] = None
    cas_required: Annotated[
        bool | None, Doc("Whether every write must say which version it replaces.", clear=True)
    ] = None
    ttl: Annotated[
        Duration | None, Doc("The policy ends after this time; not with expiration.", clear=True)
    ] = None
    expiration: Annotated[Anything | None, Doc("When the policy ends; not together with ttl.")] = None
    allow_slashes_in_identity_templates: Annotated[
        bool | None, Doc("Whether identity templates in paths may bring slashes.", clear=True)
    ] = None
    allow_wildcards_in_identity_templates: Annotated[
        bool | None, Doc("Whether identity templates in paths may bring `*` and `+`.", clear=True)
    ] = None


class LegacyPolicyWrite(PolicyWrite, frozen=True):
    """As `PolicyWrite`, with the old name of the text, `rules`."""

    rules: Annotated[str | None, Doc("Deprecated name of `policy`.", deprecation=OLD)] = None


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as the wire has it."""

    allow_slashes_in_identity_templates: bool
    allow_wildcards_in_identity_templates: bool
    cas_required: bool
    expiration: str | msgspec.UnsetType = msgspec.UNSET
    modified: str | msgspec.UnsetType = msgspec.UNSET
    name: str
    policy: str | msgspec.UnsetType = msgspec.UNSET
    rules: str | msgspec.UnsetType = msgspec.UNSET
    version: int


class PolicyNames(msgspec.Struct, frozen=True):
    """Names of policies."""

    keys: Sequence[str]


class LegacyPolicyNames(msgspec.Struct, frozen=True):
    """Names of policies, under the old member name too."""

    policies: Sequence[str] | None
    keys: Sequence[str] | msgspec.UnsetType = msgspec.UNSET


class PolicyDetails(msgspec.Struct, frozen=True):
    """Names of policies, and each policy by its name."""

    key_info: dict[str, PolicyView]
    keys: Sequence[str]


def view(name: str, entry: PolicyEntry, *, legacy: bool) -> PolicyView:
    """Return a stored policy as the wire has it; `legacy` calls its text `rules`."""
    return PolicyView(
        allow_slashes_in_identity_templates=entry.allow_slashes,
        allow_wildcards_in_identity_templates=entry.allow_wildcards,
        cas_required=entry.cas_required,
        expiration=rfc3339(entry.expires) if entry.expires else msgspec.UNSET,
        modified=rfc3339(entry.modified) if entry.modified else msgspec.UNSET,
        name=name,
        policy=msgspec.UNSET if legacy else entry.text,
        rules=entry.text if legacy else msgspec.UNSET,
        version=entry.version,
    )


def check_version(params: PolicyWrite, current: int, *, required: bool) -> None:
    """Raise `Malformed` for a write whose check-and-set version is not `current`, which is 0 for no policy."""
    if params.cas is None:
        if required:
            raise Malformed("check-and-set parameter required for this call")
        return
    if params.cas == -1:
        if current:
            raise Malformed("check-and-set parameter set to -1 on existing entry")
        return
    if params.cas != current:
        raise Malformed(f"check-and-set parameter {params.cas} did not match the current version {current}")


def end(params: PolicyWrite, now: Nanos) -> Nanos:
    """Return when the policy expires (nanoseconds since the epoch), 0 for never.

    Raises `Malformed` for a time that has passed, that is given twice, or that cannot be parsed.
    """
    if params.ttl is not None and params.ttl < 0:
        raise Malformed(_FIELD.format("ttl", "cannot provide negative value"))
    moment = _moment(params.expiration) if params.expiration is not None else None
    if params.ttl is not None and moment is not None:
        raise Malformed("cannot supply both 'expiration' and 'ttl' for policies")
    if params.ttl is not None:
        moment = nanos_after(now, params.ttl)
    if moment is not None and moment >= _LATEST:
        raise Malformed("a policy must end before the year 2262, or never")
    if moment is not None and moment <= now:
        raise Malformed("refusing to update policy as expiration time has already elapsed")
    return moment or Nanos(0)


def _moment(value: object) -> Nanos:
    """Return nanoseconds since the epoch of an RFC 3339 time or a number of seconds. Raises `Malformed`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Malformed(_FIELD.format("expiration", "could not parse time from input type"))
    text = str(value)
    if _SECONDS.fullmatch(text):
        return seconds_to_nanos(Seconds(int(text)))
    if isinstance(value, float):
        raise Malformed(_FIELD.format("expiration", "strconv.ParseInt: invalid syntax"))
    found = _MOMENT.fullmatch(text)
    try:
        if found:
            whole = dt.datetime.fromisoformat(found[1] + found[3])
            seconds = Seconds((whole - _EPOCH) // dt.timedelta(seconds=1))
            return time_after(seconds_to_nanos(seconds), Nanos(int((found[2] or "").ljust(9, "0"))))
    except ValueError:
        pass
    raise Malformed(_FIELD.format("expiration", "could not parse string as date and time"))

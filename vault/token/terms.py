# SPDX-License-Identifier: EUPL-1.2
"""What a role or a user says of the tokens that its logins get: the `token_…` fields of every auth method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from vault.framework.errors import Malformed
from vault.framework.fields import Doc, FieldKind, Json
from vault.framework.route import Params
from vault.token.addresses import NoAddress, canonical
from vault.values.deprecation import OLD
from vault.values.times import Seconds

BareSpan = Annotated[Seconds, FieldKind("span", bare=True)]
"""Whole seconds, 0 or more; refused without the words that most paths put in front. So are the other bare kinds."""
BareInt = Annotated[int, FieldKind("int", bare=True)]
BareBool = Annotated[bool, FieldKind("bool", bare=True)]
BareText = Annotated[str, FieldKind("string", bare=True)]
BareCommas = Annotated[tuple[str, ...], FieldKind("commas", bare=True)]

_ADJUSTED: Final = {"": "default", "default-service": "service", "default-batch": "batch"}
_TYPES: Final = frozenset({"default", "service", "batch"})


class TermsParams(Params, frozen=True, kw_only=True):
    """The `token_…` fields; what is not given stays."""

    token_bound_cidrs: Annotated[BareCommas | None, Doc("Addresses that may use the token.", clear=True)] = (
        None
    )
    token_explicit_max_ttl: Annotated[
        BareSpan | None, Doc("Longest lifetime, which no renewal exceeds.", clear=True)
    ] = None
    token_max_ttl: Annotated[BareSpan | None, Doc("Longest lifetime that renewals reach.", clear=True)] = None
    token_no_default_policy: Annotated[BareBool | None, Doc("Leave the default policy out.", clear=True)] = (
        None
    )
    token_num_uses: Annotated[BareInt | None, Doc("Number of uses; 0 for unlimited.", clear=True)] = None
    token_period: Annotated[BareSpan | None, Doc("Lifetime that every renewal gives.", clear=True)] = None
    token_policies: Annotated[BareCommas | None, Doc("Policies of the token.", clear=True)] = None
    token_strictly_bind_ip: Annotated[
        BareBool | None, Doc("Bind the token to the address that logged in.", clear=True)
    ] = None
    token_ttl: Annotated[BareSpan | None, Doc("First lifetime.", clear=True)] = None
    token_type: Annotated[BareText | None, Doc("default, service or batch.", clear=True)] = None


class OldTermsParams(TermsParams, frozen=True, kw_only=True):
    """The `token_…` fields, and the older names that most methods still take."""

    bound_cidrs: Annotated[
        BareCommas | None, Doc("Old name of token_bound_cidrs.", clear=True, deprecation=OLD)
    ] = None
    max_ttl: Annotated[BareSpan | None, Doc("Old name of token_max_ttl.", clear=True, deprecation=OLD)] = None
    policies: Annotated[
        BareCommas | None, Doc("Old name of token_policies.", clear=True, deprecation=OLD)
    ] = None
    ttl: Annotated[BareSpan | None, Doc("Old name of token_ttl.", clear=True, deprecation=OLD)] = None


OLD_NAMES: Final = {name: name for name in ("policies", "ttl", "max_ttl", "bound_cidrs")}
"""Those names, and the fields that they set."""


class TokenTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of them. Durations in seconds, 0 for the mount's. `old_names` were used to set their fields."""

    bound_cidrs: tuple[str, ...] = ()
    explicit_max_ttl: Seconds = Seconds(0)
    max_ttl: Seconds = Seconds(0)
    no_default_policy: bool = False
    num_uses: int = 0
    period: Seconds = Seconds(0)
    policies: tuple[str, ...] = ()
    strictly_bind_ip: bool = False
    ttl: Seconds = Seconds(0)
    type: str = "default"
    old_names: tuple[str, ...] = ()


_FIELDS: Final = tuple(name for name in TokenTerms.__struct_fields__ if name != "old_names")


def changed(
    old: TokenTerms, params: TermsParams, old_names: Mapping[str, str], *, adjust: bool = False
) -> TokenTerms:
    """Return terms with what was given. Raises `Malformed` for terms that contradict each other.

    `old_names` maps the older name of a field, a parameter too, to the field; the newer one goes before it. A
    field that was set by its older name is shown under it as well, until it is set by its own. With `adjust` the
    types that only mounts have are taken for what comes closest.
    """
    values: dict[str, Json] = {}
    for name in _FIELDS:
        value = getattr(params, f"token_{name}")
        if value is not None:
            values[name] = value
    shown = set(old.old_names)
    for name, field in old_names.items():
        value = getattr(params, name)
        if value is not None:
            shown.add(name)
            values.setdefault(field, value)
        elif field in values:
            shown.discard(name)
    if "bound_cidrs" in values:
        values["bound_cidrs"] = addresses(values["bound_cidrs"])
    if "type" in values:
        names = _ADJUSTED if adjust else {"": "default"}
        values["type"] = names.get(values["type"], values["type"])
    terms = msgspec.structs.replace(old, **values, old_names=tuple(sorted(shown)))
    _check(terms)
    return terms


def addresses(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses and blocks as they are kept. Raises `Malformed`."""
    try:
        return tuple(canonical(text) for text in given)
    except NoAddress:
        raise Malformed(
            "error parsing address: Unable to convert to an IPv4 or IPv6 address, or a block of them"
        ) from None


def _check(terms: TokenTerms) -> None:
    if terms.type not in _TYPES:
        raise Malformed("invalid 'token_type' value")
    if terms.num_uses < 0:
        raise Malformed("'token_num_uses' cannot be negative")
    if terms.strictly_bind_ip and terms.bound_cidrs:
        raise Malformed("'token_strictly_bind_ip' conflicts with 'token_bound_cidrs'; set only one")
    if terms.type == "batch" and terms.period:
        raise Malformed(
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens"
        )
    if terms.type == "batch" and terms.num_uses:
        raise Malformed(
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count"
        )
    if terms.max_ttl and terms.ttl > terms.max_ttl:
        raise Malformed("'token_ttl' cannot be greater than 'token_max_ttl'")


def adjustments(params: TermsParams) -> list[str]:
    """Return what a client is told about the type of token that it asked for."""
    if params.token_type in {"default-service", "default-batch"}:
        return [f"{params.token_type} has no useful meaning; adjusting to {_ADJUSTED[params.token_type]}"]
    return []


def shown(terms: TokenTerms, old_names: Mapping[str, str]) -> dict[str, Json]:
    """Return terms as they are read, under their older names too where those were used and say something."""
    found = {f"token_{name}": getattr(terms, name) for name in _FIELDS}
    return found | {name: value for name in terms.old_names if (value := getattr(terms, old_names[name]))}

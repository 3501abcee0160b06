# SPDX-License-Identifier: EUPL-1.2
"""Which policies a new token gets: the caller's, those that were asked for, or those that a role allows."""

from __future__ import annotations

from collections.abc import Iterable

from vault.engines.token.model import CreateToken
from vault.engines.token.roles import TokenRole
from vault.framework.call import Identity
from vault.framework.errors import Malformed
from vault.framework.globs import fits_any
from vault.framework.quote import quote, quoted_list
from vault.policy.names import valid_name


def choose_policies(
    params: CreateToken, caller: Identity, *, privileged: bool, inherits: bool = True
) -> tuple[str, ...]:
    """Return the policies of the new token, normalised before they are judged (SL-11).

    `inherits`: the caller's policies are of the namespace that the token is made in. Those of a parent mean
    nothing in it.
    """
    held = set(caller.policies) if inherits else set()
    given = params.policies or ()
    wanted = normalised(given) if given else _inherited(held, inherits=inherits)
    _refuse_wrapping(wanted)
    if given and not privileged and not wanted <= held:
        raise Malformed("child policies must be subset of parent")
    if params.no_default_policy:
        wanted = wanted - {"default"}
    elif given and (privileged or "default" in held):
        wanted = wanted | {"default"}
    return _sorted_policies(wanted, held, inherits=inherits)


def role_policies(
    role: TokenRole, params: CreateToken, caller: Identity, *, inherits: bool
) -> tuple[str, ...]:
    """Return the policies of a new token whose role says what there may be. Raises `Malformed`."""
    held = set(caller.policies) if inherits else set()
    given = normalised(params.policies or ())
    plain = set() if params.no_default_policy or "default" in role.disallowed_policies else {"default"}
    if role.allowed_policies or role.allowed_policies_glob:
        allowed = _with(set(role.allowed_policies), plain)
        wanted = _with(given, plain) if given else allowed
        if any(name not in allowed and not fits_any(name, role.allowed_policies_glob) for name in wanted):
            raise Malformed(
                f"token policies ({_listed(wanted)}) must be subset of the role's allowed policies "
                f"({_listed(allowed)}) or glob policies ({_listed(role.allowed_policies_glob)})"
            )
    else:
        wanted = _with(given, plain) if given else _inherited(held, inherits=inherits)
    for name in sorted(wanted):
        if name in role.disallowed_policies or fits_any(name, role.disallowed_policies_glob):
            raise Malformed(f'token policy "{quote(name)}" is disallowed by this role')
    return _sorted_policies(wanted, held, inherits=inherits)


def normalised(given: Iterable[str]) -> set[str]:
    """Return names of policies in their one form. Raises `Malformed` for what cannot be one."""
    names = set()
    for name in given:
        normal = valid_name(name)
        if normal is not None:
            names.add(normal)
        elif name.strip():
            raise Malformed("policies: every name must be printable, without dot segments")
    return names


def _inherited(held: set[str], *, inherits: bool) -> set[str]:
    """Return the policies of a token that was asked for without any: the caller's, or `default` in another namespace."""
    return held if inherits else {"default"}


def _refuse_wrapping(wanted: set[str]) -> None:
    if "response-wrapping" in wanted:
        raise Malformed('cannot assign policy "response-wrapping"')


def _sorted_policies(wanted: set[str], held: set[str], *, inherits: bool) -> tuple[str, ...]:
    _refuse_wrapping(wanted)
    if "root" in wanted:
        if not inherits:
            raise Malformed("root tokens may not be created from a parent namespace")
        if "root" not in held:
            raise Malformed("root tokens may not be created without parent token being root")
        return ("root",)
    return tuple(sorted(wanted))


def _with(given: set[str], plain: set[str]) -> set[str]:
    return given if "root" in given else given | plain


def _listed(names: Iterable[str]) -> str:
    return f"[{quoted_list(names)}]"

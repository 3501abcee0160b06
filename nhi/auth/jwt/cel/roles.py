# SPDX-License-Identifier: EUPL-1.2
"""Roles with programs: made, changed, shown and removed. A program is tried before it is kept."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from nhi.auth.jwt.cel.model import CEL_ROLES, CelName, CelParams, CelRole, Program, Variable
from nhi.auth.jwt.cel.programs import Programs, tenant_of
from nhi.records import Keys, ListParams
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json, to_string
from vault.framework.route import delete, list_, patch, read, write

_FIELDS: Final = (
    "bound_audiences",
    "clock_skew_leeway",
    "expiration_leeway",
    "not_before_leeway",
    "message",
)
_USUAL: Final = CelRole(name="", cel_program=Program())
_UNREADABLE: Final = "failed to decode 'cel_program': decoding failed due to the following error(s):\n\n"
_MOST: Final = 64
"""Steps of a program."""
_LONGEST: Final = 64 << 10
"""Characters of a program."""


class CelRoleEngine(Engine):
    """The paths of roles whose programs decide."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    @list_("cel/role", event="jwt.role.list")
    async def list_cel_roles(self, call: Call, params: ListParams) -> Keys:
        """List the names of all roles with programs."""
        return await CEL_ROLES.names(call, params)

    @read("cel/role/{name:word}", event="jwt.role.read")
    async def read_cel_role(self, call: Call, params: CelName) -> dict[str, Json]:
        """Show a role."""
        role = await CEL_ROLES.find(call.reader, params.name)
        if role is None:
            raise NotFound
        return _shown(role)

    @write("cel/role/{name:word}", before="made", event="jwt.role.write")
    async def write_cel_role(self, call: Call, params: CelParams) -> dict[str, Json]:
        """Make a role anew; what is not given is as usual."""
        return await self._keep(call, params)

    @patch("cel/role/{name:word}", before="changed", event="jwt.role.write")
    async def patch_cel_role(self, call: Call, params: CelParams) -> dict[str, Json]:
        """Change a role; what is not given stays."""
        return await self._keep(call, params)

    @delete("cel/role/{name:word}", event="jwt.role.delete")
    async def delete_cel_role(self, call: Call, params: CelName) -> None:
        """Remove a role; nothing happens where there is none."""
        await CEL_ROLES.remove(call.tx, params.name)

    async def made(self, call: Call, params: CelParams) -> CelRole:
        """Return the role that a call makes, once its program can be run. Raises `Malformed`."""
        if "cel_program" not in call.data:
            raise Malformed("missing required field 'cel_program'")
        return await self._tried(call, _with(CelRole(name=params.name, cel_program=Program()), params))

    async def changed(self, call: Call, params: CelParams) -> tuple[CelRole, CelRole]:
        """Return a role and what a call makes of it, once its program can be run. Raises `Malformed`."""
        old = await CEL_ROLES.find(call.reader, params.name)
        if old is None:
            raise Malformed("Unable to fetch cel role entry to patch")
        emptied = {name: getattr(_USUAL, name) for name in _FIELDS if call.data.get(name, "") is None}
        return old, await self._tried(call, _with(msgspec.structs.replace(old, **emptied), params))

    async def _tried(self, call: Call, role: CelRole) -> CelRole:
        if not role.cel_program.expression:
            raise Malformed("cel_program.expression cannot be empty")
        await self._programs.check(tenant_of(call), role.cel_program.question())
        return role

    async def _keep(self, call: Call, params: CelParams) -> dict[str, Json]:
        role = call.prepared
        if isinstance(role, tuple):
            old, role = role
            if await CEL_ROLES.find(call.tx, params.name) != old:
                raise Malformed("the role has just changed; change it again")
        assert isinstance(role, CelRole)
        await CEL_ROLES.keep(call.tx, role.name, role)
        return _shown(role)


def _with(role: CelRole, params: CelParams) -> CelRole:
    """Return a role with what is given. Raises `Malformed`."""
    given: dict[str, Any] = {name: value for name in _FIELDS if (value := getattr(params, name)) is not None}
    if params.cel_program is not None:
        given["cel_program"] = _program(role.cel_program, params.cel_program)
    return msgspec.structs.replace(role, **given)


def _program(old: Program, given: Json) -> Program:
    """Return a program with what is given. Raises `Malformed`."""
    variables, expression = old.variables, old.expression
    listed = given.get("variables")
    if listed is not None:
        if not isinstance(listed, list):
            raise Malformed(
                f"{_UNREADABLE}'Variables' source data must be an array or slice, got {_kind(listed)}"
            )
        for number, one in enumerate(listed):
            if not isinstance(one, dict):
                raise Malformed(
                    f"{_UNREADABLE}'Variables[{number}]' expected a map or struct, got \"{_kind(one)}\""
                )
        variables = tuple(Variable(_text(one, "name"), _text(one, "expression")) for one in listed)
    if given.get("expression") is not None:
        expression = _text(given, "expression")
    if len(variables) > _MOST:
        raise Malformed(f"invalid cel_program: more than {_MOST} variables")
    if len(expression) + sum(len(one.expression) for one in variables) > _LONGEST:
        raise Malformed(f"invalid cel_program: more than {_LONGEST} characters")
    return Program(variables=variables, expression=expression)


def _kind(value: Json) -> str:
    if isinstance(value, dict | list):
        return "map" if isinstance(value, dict) else "slice"
    return "bool" if isinstance(value, bool) else "string"


def _text(given: Json, name: str) -> str:
    value = given.get(name)
    if isinstance(value, dict | list):
        raise Malformed(f"invalid cel_program: {name} must be a string")
    return "" if value is None else to_string(value)


def _shown(role: CelRole) -> dict[str, Json]:
    program: dict[str, Json] = {"expression": role.cel_program.expression}
    if role.cel_program.variables:
        program["variables"] = [
            {"name": one.name, "expression": one.expression} for one in role.cel_program.variables
        ]
    return {"name": role.name, "cel_program": program, **{name: getattr(role, name) for name in _FIELDS}}

# SPDX-License-Identifier: EUPL-1.2
"""What is kept of a role with a program, and what a token that it gave is renewed by."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from nhi.auth.jwt.cel.protocol import Question
from nhi.records import Records
from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView
from vault.framework.errors import Failed
from vault.framework.fields import CommaList, Doc, Duration, Map
from vault.framework.quote import quote
from vault.framework.route import Params
from vault.token.model import TokenEntry
from vault.token.terms import TokenTerms
from vault.values.times import Seconds

LOGIN: Final = "cel/"
"""What the `login` of a token from such a role begins with; its longest lifetime and the role's name follow."""


class Variable(msgspec.Struct, frozen=True):
    """A step of a program, which later ones know by its name."""

    name: str
    expression: str


class Program(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What decides about a token: steps in their order, and the expression whose value is the answer."""

    variables: tuple[Variable, ...] = ()
    expression: str = ""

    def question(self) -> Question:
        """Return it as it is asked about."""
        return Question(
            variables=tuple((one.name, one.expression) for one in self.variables), expression=self.expression
        )


class CelRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role whose program decides. Leeways in seconds: 0 for the usual one, below 0 for none."""

    name: str
    cel_program: Program
    bound_audiences: tuple[str, ...] = ()
    clock_skew_leeway: Seconds = Seconds(60)
    expiration_leeway: Seconds = Seconds(150)
    not_before_leeway: Seconds = Seconds(150)
    message: str = ""


class CelParams(Params, frozen=True, kw_only=True):
    """A role whose program decides."""

    name: Annotated[str, Doc("Name of the role.")]
    cel_program: Annotated[
        Map | None,
        Doc(
            "`variables`, a list of steps with `name` and `expression`, and `expression`: a pb.Auth, or why not."
        ),
    ] = None
    bound_audiences: Annotated[CommaList | None, Doc("Audiences, one of which the token must be for.")] = None
    clock_skew_leeway: Annotated[Duration | None, Doc("Leeway for every time; 60 s.", clear=True)] = None
    expiration_leeway: Annotated[Duration | None, Doc("Life of a token without exp; 150 s.", clear=True)] = (
        None
    )
    not_before_leeway: Annotated[
        Duration | None, Doc("How long before exp a token begins; 150 s.", clear=True)
    ] = None
    message: Annotated[str | None, Doc("Kept for clients; the program says why it refuses.")] = None


class CelName(Params, frozen=True, kw_only=True):
    """Names a role."""

    name: Annotated[str, Doc("Name of the role.")]


CEL_ROLES: Final = Records("cel/role/", RecordKind("JWT CEL role", CelRole))


async def renewal(view: ReadView, entry: TokenEntry) -> TokenTerms:
    """Return what a token was given. Raises `Failed` where its role is gone."""
    longest, _, name = entry.login.removeprefix(LOGIN).partition("/")
    if await CEL_ROLES.find(view, name) is None:
        raise Failed(f"failed to renew entry: CEL role {quote(name)} does not exist during renewal")
    return TokenTerms(ttl=entry.current_ttl or entry.ttl, max_ttl=Seconds(int(longest)), period=entry.period)

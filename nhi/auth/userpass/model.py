# SPDX-License-Identifier: EUPL-1.2
"""What userpass keeps and takes. Passwords themselves are never kept, and nothing shows their hashes."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from nhi.records import Records
from vault.barrier.stored import RecordKind
from vault.framework.fields import CommaList, Doc, LowerCase
from vault.framework.route import Params
from vault.token.terms import BareText, OldTermsParams, TokenTerms
from vault.values.deprecation import OLD


class User(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user. `secret` is the password's hash: argon2id, or bcrypt where an administrator brought one."""

    name: str
    secret: str
    terms: TokenTerms = TokenTerms()

    def __repr__(self) -> str:
        """Name the user without the hash."""
        return f"User({self.name!r})"


class UserName(Params, frozen=True, kw_only=True):
    """Names a user."""

    username: Annotated[LowerCase, Doc("Name of the user; upper and lower case are the same.")]


class PasswordParams(UserName, frozen=True):
    """A new password, or its hash."""

    password: Annotated[str | None, Doc("The password.")] = None
    password_hash: Annotated[str | None, Doc("A bcrypt hash of the password, instead.")] = None


class UserParams(OldTermsParams, frozen=True, kw_only=True):
    """A user; what is not given stays."""

    username: Annotated[LowerCase, Doc("Name of the user; upper and lower case are the same.")]
    password: Annotated[BareText | None, Doc("The password.")] = None
    password_hash: Annotated[BareText | None, Doc("A bcrypt hash of the password, instead.")] = None


class PoliciesParams(UserName, frozen=True):
    """The policies of a user's tokens."""

    token_policies: Annotated[CommaList | None, Doc("Policies of the tokens.", clear=True)] = None
    policies: Annotated[CommaList | None, Doc("Old name of token_policies.", clear=True, deprecation=OLD)] = (
        None
    )


class LoginParams(UserName, frozen=True):
    """Who logs in."""

    password: Annotated[str, Doc("The password.")] = ""


class Elsewhere(Params, frozen=True):
    """Something that is no name."""

    rest: Annotated[str, Doc("What stands where a name should.")]


USERS: Final = Records("user/", RecordKind("userpass user", User))

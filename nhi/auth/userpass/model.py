# SPDX-License-Identifier: EUPL-1.2
"""What userpass keeps and takes. Passwords themselves are never kept, and nothing shows their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from vault.framework.fields import CommaList, Doc, LowerCase
from vault.framework.route import Params
from vault.token.terms import BareCommas, BareSpan, BareText, TermsParams, TokenTerms

OLD_NAMES: Final = {"policies": "policies", "ttl": "ttl", "max_ttl": "max_ttl", "bound_cidrs": "bound_cidrs"}
"""Older names of fields of the terms."""


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


class UserParams(TermsParams, frozen=True, kw_only=True):
    """A user; what is not given stays."""

    username: Annotated[LowerCase, Doc("Name of the user; upper and lower case are the same.")]
    password: Annotated[BareText | None, Doc("The password.")] = None
    password_hash: Annotated[BareText | None, Doc("A bcrypt hash of the password, instead.")] = None
    bound_cidrs: Annotated[BareCommas | None, Doc("Old name of token_bound_cidrs.")] = None
    max_ttl: Annotated[BareSpan | None, Doc("Old name of token_max_ttl.")] = None
    policies: Annotated[BareCommas | None, Doc("Old name of token_policies.")] = None
    ttl: Annotated[BareSpan | None, Doc("Old name of token_ttl.")] = None


class PoliciesParams(UserName, frozen=True):
    """The policies of a user's tokens."""

    token_policies: Annotated[CommaList | None, Doc("Policies of the tokens.")] = None
    policies: Annotated[CommaList | None, Doc("Old name of token_policies.")] = None


class LoginParams(UserName, frozen=True):
    """Who logs in."""

    password: Annotated[str, Doc("The password.")] = ""


class Elsewhere(Params, frozen=True):
    """Something that is no name."""

    rest: Annotated[str, Doc("What stands where a name should.")]


class ListParams(Params, frozen=True):
    """Which part of a list."""

    after: Annotated[str, Doc("Begin after this name.")] = ""
    limit: Annotated[int, Doc("How many names to show at most; 0 or less for all.")] = 0


class Keys(msgspec.Struct, frozen=True):
    """A list."""

    keys: Sequence[str]

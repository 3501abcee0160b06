# SPDX-License-Identifier: EUPL-1.2
"""Signing in with a browser, at an OpenID provider.

A client asks for a URL (`auth_url`), the user signs in there, and the provider sends the browser back. In the mode
`client` it is sent to the client, which hands the code to `callback`; in `direct` it is sent to `callback` itself,
where the user is asked who began this, and the client polls; in `device` the client only polls. A provider that posts
a form posts it to `callback` in any mode; what it sent waits there for the client or the user. A state is good for one
sign-in, the code for one verifier (RFC 7636), the ID token for one nonce.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from nhi.auth.jwt import claims as said
from nhi.auth.jwt import page, states
from nhi.auth.jwt.exchange import ENDED, WAITING, Exchange, kept_tokens
from nhi.auth.jwt.login import grant, granted_role
from nhi.auth.jwt.model import (
    CONFIG,
    ROLES,
    AuthUrlParams,
    CallbackParams,
    Config,
    FormParams,
    PollParams,
    Role,
)
from nhi.auth.jwt.provider import Providers
from nhi.auth.jwt.redirects import allowed, to_provider
from nhi.auth.jwt.states import SignIn, States
from nhi.jose import signature
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.fields import Json
from vault.framework.reply import Reply
from vault.framework.route import read, write
from vault.outbound.failure import Unreachable
from vault.outbound.shares import owner_of
from vault.token.addresses import within
from vault.token.issue import LoginIssuer

_FAILED: Final = "OpenBao login failed. "
_NOTHING: Final = f"{_FAILED}No code or id_token received."
_POLL: Final = 5
"""Seconds between two polls of a client, where neither role nor provider says: OpenBao's."""
_LONGEST_NONCE: Final = 1024
_POSTED: Final = "no_code"
"""What a client gives as the code when the provider has posted it here."""


class Entrant(msgspec.Struct, frozen=True):
    """A user whom the provider vouches for, the role that lets them in, and the configuration that was asked."""

    config: Config
    role: Role
    claims: Mapping[str, Json]


class OidcEngine(Engine):
    """Sign-ins. The provider is asked before any transaction."""

    def __init__(
        self,
        issuer: LoginIssuer,
        exchange: Exchange,
        providers: Providers,
        kept: States,
        entropy: Entropy,
    ) -> None:
        self._issuer = issuer
        self._exchange = exchange
        self._providers = providers
        self._states = kept
        self._entropy = entropy

    @write("oidc/auth_url", public=True, writes=False, before="prepare", event="auth.login.start")
    async def auth_url(self, call: Call, params: AuthUrlParams) -> Reply[Mapping[str, str]]:
        """Begin a sign-in; the URL is empty where the role does not allow it."""
        del params
        told = call.prepared
        assert isinstance(told, dict)
        return Reply(data=told)

    @read("oidc/callback", public=True, writes=True, before="returned", event="auth.login")
    async def callback(self, call: Call, params: CallbackParams) -> Reply[None]:
        """Take what the provider sent: log the client in, or ask the user to confirm."""
        del params
        found = call.prepared
        if isinstance(found, Reply):
            return found
        return await self._enter(call, found)

    @write("oidc/callback", public=True, before="posted", event="auth.login")
    async def callback_form(self, call: Call, params: FormParams) -> Reply[None]:
        """Take what the provider sent in a form, for the client that comes for it or the user who confirms it."""
        del params
        found = call.prepared
        assert isinstance(found, Reply)
        return found

    @write("oidc/poll", public=True, before="polled", event="auth.login")
    async def poll(self, call: Call, params: PollParams) -> Reply[None]:
        """Log the client in, once the user has signed in."""
        del params
        return await self._enter(call, call.prepared)

    async def _enter(self, call: Call, entrant: object) -> Reply[None]:
        assert isinstance(entrant, Entrant)
        if await ROLES.find(call.tx, entrant.role.name) != entrant.role:
            raise Malformed("the role has just changed; log in again")
        given = grant(entrant.role, entrant.claims, entrant.config)
        metadata = {**given.metadata, **kept_tokens(entrant.claims)}
        return await self._issuer.issue(call, replace(given, metadata=metadata))

    async def prepare(self, call: Call, params: AuthUrlParams) -> dict[str, str]:
        """Find out where the user is to go. Raises `Malformed`."""
        config = await self._config(call)
        if not config.oidc_client_id:
            raise Malformed("OIDC login is not configured for this mount")
        role = await granted_role(call, params.role or config.default_role)
        if role.callback_mode != "client" and not params.client_nonce:
            raise Malformed("missing client_nonce")
        if len(params.client_nonce) > _LONGEST_NONCE:
            raise Malformed(f"client_nonce is longer than {_LONGEST_NONCE} characters")
        if role.callback_mode == "device":
            return await self._device(call, config, role, params)
        if not params.redirect_uri:
            raise Malformed("missing redirect_uri")
        refused = role.role_type != "oidc" or not allowed(
            params.redirect_uri, role.allowed_redirect_uris or ()
        )
        if refused:
            return {"auth_url": ""}
        try:
            provider = await self._providers.find(owner_of(call), config)
        except Unreachable:
            return {"auth_url": ""}
        implicit = "id_token" in config.oidc_response_types
        sign_in = replace(self._sign_in(call, role, params), implicit=implicit)
        named = call.namespace.path.strip("/") if config.namespace_in_state else ""
        state = self._states.begin(sign_in, named)
        told = {"auth_url": to_provider(provider.authorization_endpoint, config, role, state, sign_in)}
        if role.callback_mode == "direct":
            told |= {"state": state, "poll_interval": str(role.poll_interval or _POLL)}
        return told

    async def _device(self, call: Call, config: Config, role: Role, params: AuthUrlParams) -> dict[str, str]:
        try:
            found = await self._exchange.begin_device(owner_of(call), config, role)
        except Unreachable as failure:
            raise Malformed(f"the provider gives no device code: {failure}") from None
        code = found.get("device_code")
        url = found.get("verification_uri_complete") or found.get("verification_uri")
        if not isinstance(code, str) or not isinstance(url, str):
            raise Malformed("the provider gives no device code")
        sign_in = replace(self._sign_in(call, role, params), device_code=code)
        told = {"auth_url": url, "state": self._states.begin(sign_in)}
        told["poll_interval"] = str(role.poll_interval or found.get("interval") or _POLL)
        if "verification_uri_complete" not in found:
            told["user_code"] = str(found.get("user_code"))
        return told

    def _sign_in(self, call: Call, role: Role, params: AuthUrlParams) -> SignIn:
        return SignIn(
            mount=call.mount.uuid,
            role=role.name,
            mode=role.callback_mode,
            redirect_uri=params.redirect_uri,
            nonce=f"n_{self._entropy.base62(20)}",
            verifier=self._entropy.base62(64),
            client_nonce=states.digest(params.client_nonce),
            confirmation="" if role.oidc_disable_confirmation else self._entropy.base62(24),
            address=call.client_address,
        )

    async def returned(self, call: Call, params: CallbackParams) -> Entrant | Reply[None]:
        """Find out who came back, or what the browser is to show. Raises `Malformed`.

        1. The mount is configured.
        2. The state is of a sign-in that was begun at this mount, here, and is not over.
        3. In `direct` mode the browser is asked to confirm; the client comes for its token by `oidc/poll`.
        4. Otherwise the sign-in is taken, so that nobody uses it twice, and its client shows the nonce it began with.
        5. The provider gave a code, or an ID token.
        6. The provider vouches for the user, and the role lets the user in (`_vouched`).
        """
        # 1. The mount.
        if await CONFIG.find(call.reader) is None:
            raise Malformed(f"{_FAILED}Could not load configuration")
        # 2. The state.
        sign_in = self._states.find(call, params.state)
        # 3. A browser that comes back by itself.
        if sign_in.mode == "direct":
            return await self._direct(call, sign_in, params.state, params.code, params.confirmation)
        # 4. The client that began. It is taken before the nonce is compared: guessing one costs the sign-in.
        sign_in = self._states.take(call, params.state)
        if not sign_in.begun_by(params.client_nonce):
            raise Malformed("invalid client_nonce")
        # 5. What the provider gave.
        code = sign_in.code if params.code == _POSTED else params.code
        if sign_in.mode == "device" or not (code or sign_in.id_token):
            raise Malformed(_NOTHING)
        # 6. The provider's word.
        return await self._vouched(call, sign_in, code)

    async def posted(self, call: Call, params: FormParams) -> Reply[None]:
        """Keep what the provider posted; return what the browser is to show. Raises `Malformed`."""
        config = await CONFIG.find(call.reader)
        if config is None:
            raise Malformed(f"{_FAILED}Could not load configuration.")
        if config.oidc_response_mode != "form_post":
            return Reply(raw=b"", status=405, content_type="application/json")
        if max(len(params.code), len(params.id_token)) > signature.LARGEST:
            return page.failed("What the provider sent is too large.")
        try:
            sign_in = self._states.post(call, params.state, code=params.code, id_token=params.id_token)
        except Malformed as refusal:
            return page.failed(refusal.message)
        if sign_in.mode == "direct":
            return await self._direct(call, sign_in, params.state, params.code, "")
        return page.sent()

    async def _direct(
        self, call: Call, sign_in: SignIn, state: str, code: str, confirmation: str
    ) -> Reply[None]:
        """Ask the user who came back to confirm, or find out who it is and let the client go on."""
        if sign_in.confirmed:
            raise Malformed(states.GONE)
        came = bool(code or sign_in.id_token)
        if came and sign_in.confirmation and not self._confirmed(sign_in, confirmation):
            return page.confirm(
                role=sign_in.role,
                address=sign_in.address,
                state=state,
                code=code,
                confirmation=sign_in.confirmation,
            )
        await self._admitted(call, sign_in)
        if not came:
            return page.failed(_NOTHING)
        sign_in = self._states.confirm(call, state)
        try:
            entrant = await self._vouched(call, sign_in, code)
            self._states.keep(call, state, entrant.claims)
        except Malformed as refusal:
            confirmation = sign_in.confirmation and self._entropy.base62(24)
            self._states.reopen(call, state, confirmation)
            return page.failed(refusal.message)
        return page.done()

    def _confirmed(self, sign_in: SignIn, confirmation: str) -> bool:
        return hmac.compare_digest(confirmation.encode(), sign_in.confirmation.encode())

    async def polled(self, call: Call, params: PollParams) -> Entrant:
        """Find out who waits. Raises `Malformed`, with `authorization_pending` while the user has not signed in."""
        sign_in = self._states.find(call, params.state)
        if not sign_in.begun_by(params.client_nonce):
            self._states.take(call, params.state)
            raise Malformed("invalid client_nonce")
        if sign_in.mode == "device":
            return await self._device_done(call, sign_in, params.state)
        if sign_in.claims is None:
            raise Malformed("authorization_pending")
        sign_in = self._states.take(call, params.state)
        role = await self._admitted(call, sign_in)
        return Entrant(await self._config(call), role, sign_in.claims or {})

    async def _device_done(self, call: Call, sign_in: SignIn, state: str) -> Entrant:
        """Find out who signed in with a device; whatever comes of it but waiting ends the sign-in."""
        try:
            entrant = await self._vouched(call, sign_in, "")
        except Malformed as refusal:
            if refusal.message not in WAITING:
                self._states.take(call, state)
            raise
        self._states.take(call, state)
        return entrant

    async def _vouched(self, call: Call, sign_in: SignIn, code: str) -> Entrant:
        """Return the user whom the provider vouches for. Raises `Malformed` and, by the address, `Unauthenticated`.

        1. The role is still there, and takes logins from this address.
        2. The provider exchanges the code, and its ID token is for this sign-in (`Exchange.claims`).
        3. The claims have what the role maps to alias, groups and metadata.
        4. The claims are those that the role is bound to.
        """
        # 1. The role.
        config = await self._config(call)
        role = await self._admitted(call, sign_in)
        # 2. The exchange.
        try:
            claims = await self._exchange.claims(call, config, role, sign_in, code)
        except (Malformed, Unreachable) as failure:
            if str(failure) in WAITING or str(failure).startswith(ENDED):
                raise Malformed(str(failure)) from None
            used = code or sign_in.device_code
            what = "Error exchanging oidc code" if used else "Token verification failed"
            raise Malformed(f"{_FAILED}{what}: {failure}.") from None
        # 3. The mapping. OpenBao compares the subject here, and the bound claims last: so the first refusal is the same.
        try:
            if role.bound_subject and claims.get("sub") != role.bound_subject:
                raise Malformed("sub claim does not match bound subject")  # noqa: TRY301 -- the prefix is shared
            grant(role, claims, config)
        except Malformed as refusal:
            raise Malformed(_FAILED + refusal.message) from None
        # 4. The bound claims.
        try:
            said.check_bound(claims, role)
        except Malformed as refusal:
            raise Malformed(f"{_FAILED}error validating claims: {refusal.message}") from None
        return Entrant(config, role, claims)

    async def _admitted(self, call: Call, sign_in: SignIn) -> Role:
        role = await granted_role(call, sign_in.role)
        blocks = role.terms.bound_cidrs
        if blocks and not within(call.client_address, blocks):
            raise Unauthenticated
        return role

    async def _config(self, call: Call) -> Config:
        config = await CONFIG.find(call.reader)
        if config is None:
            raise Malformed("could not load configuration")
        return config

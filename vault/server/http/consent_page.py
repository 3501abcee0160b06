# SPDX-License-Identifier: EUPL-1.2
"""The page on which people sign in to a client of an OpenID provider of ours (OpenID Connect Core 1.0, section 3.1.2).

It is the authorization endpoint that discovery names. Every decision is made behind `/v1/`, which the page asks as any
client would: who the client is, whether the password is right, whether a code is given. Nothing is kept between its
requests, there is no cookie, and the token of a login made here is revoked once the code is there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from vault.framework.display.page import facts, hidden, page
from vault.framework.errors import Malformed
from vault.framework.reply import Reply
from vault.ui.session.api_client import Answer, ApiAnswer, ApiClient, segment
from vault.ui.session.forms import fields_of

_PLACE: Final = re.compile(r"(?:[^/]+/)*identity/oidc/provider/[^/]+/authorize")
_ASKED: Final[tuple[str, ...]] = (
    "client_id",
    "scope",
    "redirect_uri",
    "response_type",
    "state",
    "nonce",
    "max_age",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
)
"""What an authentication request consists of; it travels with the form."""
_FORM: Final = """<label>User name<input name="username" autocomplete="username" autocapitalize="none" autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password"></label>
<details><summary>Other ways</summary>
<label>Mount of the user names<input name="mount" value="userpass"></label>
<label>A token, instead of name and password<input name="token" type="password" autocomplete="off"></label></details>"""
_CODE: Final = """<label>One-time code<input name="passcode" inputmode="numeric" autocomplete="one-time-code" autofocus>
</label>"""
_BUTTONS: Final = """<button name="action" value="allow">Sign in</button>
<button name="action" value="deny">Cancel</button>"""


class Refused(Exception):
    """The sign-in goes on with a page that says why it has not succeeded; the text is ours."""


class ConsentPage:
    """Answers below `/ui/vault/…/authorize`."""

    def __init__(self, front: Answer) -> None:
        self._front = front

    async def answer(self, request: Request) -> Response:
        """Show the page, or take what was filled in."""
        reply = await self._reply(request)
        headers = {
            **(reply.headers or {}),
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        }
        return Response(
            reply.raw, status_code=reply.status, media_type=reply.content_type or None, headers=headers
        )

    async def _reply(self, request: Request) -> Reply[None]:
        try:
            given = await fields_of(request)
        except Malformed as refusal:
            return _problem(refusal.message)
        place = f"{request.path_params['place']}/authorize"
        if not _PLACE.fullmatch(place):
            return _problem("there is no such provider", 404)
        asked: dict[str, str] = {name: given[name] for name in _ASKED if name in given}
        inner = ApiClient(self._front, request.scope)
        known = await inner.get(f"{place}/client", asked)
        if known.status != 200:
            return _told(known, asked)
        if request.method != "POST":
            silent = "none" in given.get("prompt", "").split()
            return _back(asked, error="login_required") if silent else _form(known, asked, _FORM)
        if given.get("action") != "allow":
            return _back(asked, error="access_denied")
        return await self._signed_in(inner, known, place, asked, given)

    async def _signed_in(
        self,
        inner: ApiClient,
        known: ApiAnswer,
        place: str,
        asked: Mapping[str, str],
        given: Mapping[str, str],
    ) -> Reply[None]:
        own = not given.get("token")
        try:
            login = await _logged_in(inner, place, given) if own else None
        except (Malformed, Refused) as refusal:
            return _form(known, asked, _FORM, problem=str(refusal))
        if login is not None and not login.auth.get("client_token"):
            return _form(known, asked, hidden(_second(login)) + _CODE)
        token = str(login.auth["client_token"]) if login is not None else given["token"].strip()
        answer = await inner.post(place, asked, token)
        if own:
            await inner.post(_beside(place, "auth/token/revoke-self"), {}, token)
        if answer.status == 200:
            return _back(asked, code=answer.text("code"))
        why = answer.text("error_description") or "you may not sign in to this application"
        return _form(known, asked, _FORM, problem=why)


async def _logged_in(inner: ApiClient, place: str, given: Mapping[str, str]) -> ApiAnswer:
    """Return what a login answered: a token, or that a second factor is needed. Raises `Refused` and `Malformed`."""
    request_id = given.get("mfa_request_id", "")
    if request_id:
        codes = {one: [given.get("passcode", "").strip()] for one in given.get("methods", "").split()}
        fields: dict[str, object] = {"mfa_request_id": request_id, "mfa_payload": codes}
        answer = await inner.post(_beside(place, "sys/mfa/validate"), fields)
    else:
        name, mount = segment(given.get("username", "").strip()), given.get("mount", "").strip(" /")
        path = _beside(place, f"auth/{mount or 'userpass'}/login/{name}")
        answer = await inner.post(path, {"password": given.get("password", "")})
    if answer.status == 429:
        raise Refused("too many attempts; try again in a moment")
    if answer.status != 200 or not answer.auth:
        raise Refused("that was not right; try again")
    return answer


def _second(login: ApiAnswer) -> Mapping[str, str]:
    """Return what has to come back with a one-time code."""
    needs = login.auth.get("mfa_requirement")
    needs = needs if isinstance(needs, dict) else {}
    constraints = needs.get("mfa_constraints")
    every = constraints.values() if isinstance(constraints, dict) else ()
    methods = [
        str(method.get("id"))
        for one in every
        if isinstance(one, dict) and isinstance(any_of := one.get("any"), list)
        for method in any_of
        if isinstance(method, dict)
    ]
    return {"mfa_request_id": str(needs.get("mfa_request_id", "")), "methods": " ".join(methods)}


def _beside(place: str, path: str) -> str:
    """Return a path in the namespace that a provider is of."""
    return place.partition("identity/oidc/provider/")[0] + path


def _form(known: ApiAnswer, asked: Mapping[str, str], inputs: str, *, problem: str = "") -> Reply[None]:
    target = urlsplit(asked["redirect_uri"])
    shown = facts(
        (
            ("Application", known.text("client")),
            ("Leads to", target.netloc.rpartition("@")[2] or target.scheme),
        )
    )
    said = f'<p class="problem" role="alert">{_sentence(problem)}</p>' if problem else ""
    return page(
        "Sign in",
        f'<p>An application asks who you are.</p>{shown}{said}<form method="post">{hidden(asked)}{inputs}{_BUTTONS}</form>',
        status=403 if problem else 200,
        leads_to=asked["redirect_uri"],
    )


def _told(refused: ApiAnswer, asked: Mapping[str, str]) -> Reply[None]:
    """Tell a refusal to the client where that may be, else to whoever looks at the page."""
    error = refused.text("error")
    if refused.text("redirect_uri") and error:
        return _back(asked, error=error, error_description=refused.text("error_description"))
    if refused.status == 503:
        return _problem("the vault is sealed", 503)
    return _problem(refused.text("error_description") or "there is no such provider", refused.status)


def _back(asked: Mapping[str, str], **fields: str) -> Reply[None]:
    """Send the browser to the client (RFC 6749 section 4.1.2)."""
    state = {"state": asked["state"]} if asked.get("state") else {}
    uri = asked["redirect_uri"]
    location = uri + ("&" if urlsplit(uri).query else "?") + urlencode({**fields, **state})
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Reply(raw=b"", status=303, content_type="", headers=headers)


def _problem(text: str, status: int = 400) -> Reply[None]:
    return page("Sign-in is not possible", f"<p>{_sentence(text)}</p>", status=status)


def _sentence(text: str) -> str:
    """Return one of our own texts as a sentence."""
    return html.escape(text[:1].upper() + text[1:]) + "."

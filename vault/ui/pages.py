# SPDX-License-Identifier: EUPL-1.2
"""The addresses below `/ui/`: which view each shows, who is signed in, how refusals are shown.

The browser keeps a random number in a cookie that only these pages get, over TLS only. Scripts do not see it, and no
other site can make a browser send it. A form is accepted only from a page of this origin, and only with the secret
that the page put into it: that of the session or, before there is one, that of a cookie that no other host can set.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from vault.framework.errors import Malformed
from vault.framework.secret import Secret
from vault.ui.html.components import field
from vault.ui.html.elements import el
from vault.ui.html.layout import elsewhere, page, secret_field, style
from vault.ui.html.refusals import reason, refused_page, sentence
from vault.ui.session.api_client import Answer, ApiAnswer, ApiClient
from vault.ui.session.forms import fields_of
from vault.ui.session.sessions import Session, UiSessions
from vault.ui.session.visit import ApiRefusal, Visit, engines
from vault.ui.views import (
    anomalies,
    credentials,
    failures,
    keys,
    overview,
    registrations,
    revocation,
    workloads,
)
from vault.ui.views.log import proof, record, search, status
from vault.values.times import Seconds

COOKIE: Final = "__Secure-coffre-ui"
FORM_COOKIE: Final = "__Host-coffre-ui-form"
_PATH: Final = "/ui/"
_LONGEST_TOKEN: Final = 16_384
_FORM_SECRET: Final = re.compile(r"[0-9A-Za-z]{43}")
_POSTED: Final = frozenset({"sign-in", "sign-out", "revoke"})
View = Callable[[Visit], Awaitable[Response]]
_VIEWS: Final[dict[str, View]] = {
    "overview": overview.overview,
    "workloads": workloads.workloads,
    "workload": workloads.workload,
    "credentials": credentials.credentials,
    "credential": credentials.credential,
    "anomalies": anomalies.anomalies,
    "ending": registrations.ending_soon,
    "secrets": registrations.secrets,
    "failures": failures.failed_logins,
    "revoke": revocation.preview,
    "keys": keys.keys,
    "log": search.log,
    "log/record": record.record,
    "log/proof": proof.proof,
    "log/status": status.status,
}
_WITHOUT_MOUNT: Final = frozenset({search.log, record.record, proof.proof, status.status, keys.keys})
"""Views that need no mount: whoever reads the log, or looks after keys, need not see identities."""
_ENDED: Final = "Your token has ended, or was revoked. Sign in with another one."
_WRONG: Final = "This token is not valid, has ended, or may not look itself up."
_NO_PAGE: Final = "There is no page at this address."
_NO_WAY: Final = "This address takes no request of this kind."
_MANY: Final = "Too many people are signed in from where you are. Let somebody sign out first."
_NO_COOKIE: Final = "Your browser did not keep the session: this page needs HTTPS, and a cookie."


class Pages:
    """Answers below `/ui/`."""

    def __init__(self, front: Answer, sessions: UiSessions) -> None:
        self._front = front
        self._sessions = sessions

    def routes(self) -> Sequence[Route]:
        """Return the routes, the narrower ones first."""
        return [
            Route("/", _to_the_page, methods=["GET"]),
            Route("/ui", _to_the_page, methods=["GET"]),
            Route("/ui/style.css", _style, methods=["GET"]),
            Route("/ui/", self.front_page, methods=["GET"]),
            Route("/ui/sign-in", self.sign_in, methods=["POST"]),
            Route("/ui/sign-out", self.sign_out, methods=["POST"]),
            *(Route(f"/ui/{name}", _to_the_page, methods=["GET"]) for name in ("sign-in", "sign-out")),
            Route("/ui/revoke", self.revoke, methods=["POST"]),
            *(Route(f"/ui/{name}", self._shows(view), methods=["GET"]) for name, view in _VIEWS.items()),
            Route("/ui/{rest:path}", _UnknownPage(self)),
        ]

    def nothing(self, request: Request) -> Response:
        """Answer that there is no such page, or that it does not take this verb."""
        name = request.url.path.removeprefix(_PATH)
        session = self._session(request)
        if name not in {"", "style.css", "sign-in", "sign-out", *_VIEWS}:
            return refused_page(404, _NO_PAGE, session)
        answer = refused_page(405, _NO_WAY, session)
        answer.headers["Allow"] = "GET, HEAD, POST" if name in _POSTED else "GET, HEAD"
        return answer

    async def front_page(self, request: Request) -> Response:
        """Show the sign-in form, or redirect to the overview."""
        if self._session(request) is not None:
            return elsewhere("overview")
        return self._sign_in(request, _NO_COOKIE if "began" in request.query_params else "")

    async def sign_in(self, request: Request) -> Response:
        """Sign in with a token, if the server accepts it."""
        try:
            fields = await fields_of(request)
        except Malformed as refusal:
            return self._sign_in(request, sentence(refusal.message), 400)
        asked = Secret(request.cookies.get(FORM_COOKIE, ""))
        if not asked or not asked.matches(fields.get("form", "")):
            return self._sign_in(request, _NO_COOKIE, 403)
        token = fields.get("token", "").strip()
        if not 0 < len(token) <= _LONGEST_TOKEN or not token.isprintable():
            return self._sign_in(request, _WRONG, 403)
        secret = Secret(token)
        told = await ApiClient(
            self._front, request.scope, secret, fields.get("namespace", "").strip(" /")
        ).get("auth/token/lookup-self", {})
        if told.status != 200:
            why = reason(told) if told.status in {429, 503} else _WRONG
            return self._sign_in(request, why, told.status)
        home, name = told.data.get("namespace_path"), told.data.get("display_name")
        namespace = fields.get("namespace", "").strip(" /") or str(home or "").strip("/")
        ttl = told.data.get("ttl")
        number = self._sessions.begin(
            secret,
            namespace=namespace,
            name=str(name or "a token"),
            address=request.client.host if request.client is not None else "",
            ttl=Seconds(ttl if isinstance(ttl, int) else 0),
            person=whose_token(told),
        )
        if number is None:
            return self._sign_in(request, _MANY, 429)
        answer = elsewhere("", began="1")
        answer.set_cookie(COOKIE, number, path=_PATH, secure=True, httponly=True, samesite="strict")
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session; the token stays valid."""
        session = self._session(request)
        try:
            fields = await fields_of(request)
        except Malformed as refusal:
            return refused_page(400, sentence(refusal.message), session)
        if session is not None and not session.form.matches(fields.get("form", "")):
            return _stranger(session)
        return self._out(request, elsewhere(""))

    async def revoke(self, request: Request) -> Response:
        """Revoke the credential or workload that the form names."""
        return await self._show(request, revocation.revoke)

    def _shows(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def shown(request: Request) -> Response:
            return await self._show(request, view)

        return shown

    async def _show(self, request: Request, view: View) -> Response:
        session = self._session(request)
        if session is None:
            return self._sign_in(request, "Sign in to see this.", 403)
        mount = ""
        try:
            fields = await fields_of(request)
            if request.method == "POST" and not session.form.matches(fields.get("form", "")):
                return _stranger(session)
            api = ApiClient(self._front, request.scope, session.token, session.namespace)
            mounts = await engines(api)
            wanted = fields.get("mount", "").strip("/") or next(iter(mounts), "")
            if wanted not in mounts and (wanted or view not in _WITHOUT_MOUNT):
                return elsewhere("log") if _led_on(view, wanted) else _nothing(session)
            mount = wanted
            return await view(Visit(api, session, fields, mounts, mount, self._sessions.now()))
        except Malformed as refusal:
            return refused_page(400, sentence(refusal.message), session, mount)
        except ApiRefusal as refused:
            return await self._show_refusal(request, session, refused.answer, mount)

    async def _show_refusal(
        self, request: Request, session: Session, told: ApiAnswer, mount: str
    ) -> Response:
        if told.kind in {"unauthenticated", "sealed"}:
            if told.kind == "unauthenticated":
                self._sessions.end_all(session)
            why = _ENDED if told.status == 403 else reason(told)
            return self._out(request, self._sign_in(request, why, told.status))
        return refused_page(told.status, reason(told), session, mount)

    def _sign_in(self, request: Request, problem: str = "", status: int = 200) -> Response:
        """Show the sign-in form, with a secret that no other page can know."""
        secret = request.cookies.get(FORM_COOKIE, "")
        if not _FORM_SECRET.fullmatch(secret):
            secret = self._sessions.secret()
        answer = _sign_in(secret, problem, status)
        answer.set_cookie(FORM_COOKIE, secret, secure=True, httponly=True, samesite="strict")
        return answer

    def _session(self, request: Request) -> Session | None:
        number = request.cookies.get(COOKIE, "")
        return self._sessions.find(number) if number else None

    def _out(self, request: Request, answer: Response) -> Response:
        self._sessions.end(request.cookies.get(COOKIE, ""))
        answer.delete_cookie(COOKIE, path=_PATH, secure=True, httponly=True, samesite="strict")
        return answer


class _UnknownPage:
    """Answers requests that no page takes, of any verb."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._pages.nothing(Request(scope, receive))(scope, receive, send)


def whose_token(told: ApiAnswer) -> str:
    """Return the entity or the workload that a token belongs to; empty for neither.

    Anybody may choose the metadata of a token, except that of a Biscuit and of tokens issued with one.
    """
    home, entity = told.data.get("namespace_path") or "", told.data.get("entity_id")
    meta = told.data.get("meta")
    if entity:
        return f"{home}\0entity\0{entity}"
    vouched = told.data.get("type") == "biscuit" or "chain" in told.data
    return f"{home}\0workload\0{meta.get('workload')}" if vouched and isinstance(meta, dict) else ""


async def _style(request: Request) -> Response:
    del request
    return style()


async def _to_the_page(request: Request) -> Response:
    del request
    return RedirectResponse(_PATH, status_code=307)


def _sign_in(secret: str, problem: str, status: int) -> Response:
    return page(
        "Sign in",
        el("p", problem, class_="problem", role="alert") if problem else None,
        el(
            "p",
            "Use a token that may read workload identities. You see what it may see, and the audit log keeps what you look at.",
        ),
        el(
            "form",
            secret_field(secret),
            field(
                "Token",
                "token",
                type="password",
                autocomplete="off",
                required=True,
                autofocus=True,
                spellcheck="false",
            ),
            el(
                "details",
                el("summary", "Namespace"),
                field(
                    "Namespace",
                    "namespace",
                    hint="Leave this empty for the namespace of the token.",
                    autocomplete="off",
                ),
            ),
            el("button", "Sign in", class_="main"),
            method="post",
            action="/ui/sign-in",
        ),
        status=status,
    )


def _led_on(view: View, wanted: str) -> bool:
    """Whether somebody who sees no identities is led from the first page to the log."""
    return view is overview.overview and not wanted


def _stranger(session: Session) -> Response:
    text = "This form belongs to another session. Go back, load the page again, and send it from there."
    return refused_page(403, text, session)


def _nothing(session: Session) -> Response:
    text = "This token sees no mount of the kind nhi with that name here. A policy may hide it, or it may be in another namespace."
    return refused_page(404, text, session)

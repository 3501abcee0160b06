# SPDX-License-Identifier: EUPL-1.2
"""login with a browser, at an OpenID provider.

In the mode `client` the provider sends the browser to a port of this machine; in `direct` to the server itself, and in
`device` the browser may be on another machine: in both the server is asked from time to time.
"""

from __future__ import annotations

import secrets
import time
import webbrowser
from urllib.parse import parse_qs, urlsplit

from vaultctl.commands.login.callback import PATH, await_answer, listen
from vaultctl.commands.login.methods import mount_of, pairs
from vaultctl.errors import EXIT_REMOTE, ApiError, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

_WAIT_SECONDS = 300.0
_PAUSES = (1.0, 60.0)
"""Seconds between two questions, at least and at most, whatever the server wants."""
_NOBODY = "Error authenticating: nobody has signed in within 5 minutes"
_WAITING = ("authorization_pending", "slow_down")


def with_browser(invocation: Invocation) -> dict[str, object]:
    """Log in at the provider of the mount."""
    given = pairs(invocation)
    mode = str(given.get("callbackmode") or "client")
    if mode not in {"client", "direct", "device"}:
        raise CommandError("Error authenticating: callbackmode is client, direct or device", EXIT_REMOTE)
    nonce = secrets.token_urlsafe(24)
    mount = mount_of(invocation, given, "oidc")
    if mode == "client":
        return _by_callback(invocation, given, mount, nonce)
    return _by_polling(invocation, given, mount, nonce)


def _by_callback(
    invocation: Invocation, given: dict[str, object], mount: str, nonce: str
) -> dict[str, object]:
    address, port = str(given.get("listenaddress") or "localhost"), _port(given.get("port"))
    host = str(given.get("callbackhost") or "localhost")
    shown = f"{given.get('callbackmethod') or 'http'}://{host}:{given.get('callbackport') or port}"
    try:
        listener = listen(address, port)
    except OSError as error:
        raise CommandError(
            f"Error authenticating: cannot listen on {address}:{port}: {error.strerror}; choose another port=",
            EXIT_REMOTE,
        ) from None
    with listener:
        told = _begin(invocation, given, mount, nonce, f"{shown}{PATH}")
        state = parse_qs(urlsplit(str(told["auth_url"])).query).get("state", [""])[0]
        if not state:
            raise CommandError("Error authenticating: the server names no state of the sign-in", EXIT_REMOTE)
        _open(invocation, given, str(told["auth_url"]))
        try:
            query = await_answer(listener, state, _WAIT_SECONDS)
        except TimeoutError:
            raise CommandError(_NOBODY, EXIT_REMOTE) from None
    if "code" not in query:
        raise CommandError("Error authenticating: the provider has refused the sign-in", EXIT_REMOTE)
    search = {"state": state, "code": query["code"], "client_nonce": nonce}
    client = invocation.client_with("", wrap=False)
    with ErrorPrefix("Error authenticating"):
        return client.send("GET", f"auth/{mount}/oidc/callback", query=search, with_token=False).json()


def _by_polling(
    invocation: Invocation, given: dict[str, object], mount: str, nonce: str
) -> dict[str, object]:
    client = invocation.client_with("", wrap=False)
    redirect = f"{client.address}/v1/auth/{mount}/oidc/callback"
    told = _begin(invocation, given, mount, nonce, redirect)
    _open(invocation, given, str(told["auth_url"]))
    if told.get("user_code"):
        invocation.warn(f"The code that is asked for: {told['user_code']}\n")
    body = {"state": str(told.get("state") or ""), "client_nonce": nonce}
    pause = _pause(told.get("poll_interval"))
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end:
        try:
            return client.send("PUT", f"auth/{mount}/oidc/poll", body=body, with_token=False).json()
        except ApiError as refusal:
            reasons = [one for one in _WAITING if one in refusal.errors]
            if not reasons:
                raise CommandError(f"Error authenticating: {refusal}", EXIT_REMOTE) from None
            pause += 5.0 if "slow_down" in reasons else 0.0
        time.sleep(pause)
    raise CommandError(_NOBODY, EXIT_REMOTE)


def _port(given: object) -> int:
    word = str(given or 8250)
    if not (word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= 65_535):
        raise CommandError("Error authenticating: port is a number from 0 to 65535", EXIT_REMOTE)
    return int(word)


def _pause(wanted: object) -> float:
    """Seconds between two questions: what the server wants, within limits."""
    try:
        seconds = float(str(wanted or 5))
    except ValueError:
        seconds = 5.0
    least, most = _PAUSES
    return min(seconds, most) if seconds > least else least


def _begin(
    invocation: Invocation, given: dict[str, object], mount: str, nonce: str, redirect: str
) -> dict[str, object]:
    """Ask where to sign in, and refuse what is no web address: it is what a browser is opened with."""
    body = {"role": str(given.get("role") or ""), "redirect_uri": redirect, "client_nonce": nonce}
    client = invocation.client_with("", wrap=False)
    with ErrorPrefix("Error authenticating"):
        answer = client.send("PUT", f"auth/{mount}/oidc/auth_url", body=body, with_token=False).json()
    told = as_map(answer.get("data"))
    if not told.get("auth_url"):
        role = str(given.get("role") or "")
        raise CommandError(
            f'Error authenticating: role "{role}" does not let the browser come back to {redirect}; '
            "add it to the role's allowed_redirect_uris",
            EXIT_REMOTE,
        )
    if urlsplit(str(told["auth_url"])).scheme not in {"http", "https"}:
        raise CommandError("Error authenticating: the server names no web address to sign in at", EXIT_REMOTE)
    return dict(told)


def _open(invocation: Invocation, given: dict[str, object], url: str) -> None:
    """Show where to sign in, and open a browser there."""
    invocation.warn(f"Sign in here, within 5 minutes:\n\n    {url}\n\n")
    skip = str(given.get("skip_browser") or "").lower() in {"true", "1"}
    if not skip and invocation.stdout.isatty():
        webbrowser.open(url)

# SPDX-License-Identifier: EUPL-1.2
"""What a browser shows that comes back from a provider. Nothing that the provider sent is on it (SL-35)."""

from __future__ import annotations

import html

from vault.framework.display.page import facts, hidden, page
from vault.framework.reply import Reply


def confirm(*, role: str, address: str, state: str, code: str, confirmation: str) -> Reply[None]:
    """Ask the user whether it was they who began this; the button sends what is needed to go on."""
    fields = hidden({"state": state, "code": code, "confirmation": confirmation})
    return page(
        "Confirm sign-in",
        "<p>Somebody asks to sign in to the vault in your name. Confirm only if it was you, from this address, a "
        "moment ago. Otherwise close this page.</p>"
        f"{facts((('Role', role), ('Asked from', address)))}"
        f'<form method="get">{fields}<button type="submit">Confirm sign-in</button></form>',
    )


def done() -> Reply[None]:
    """Tell the user that the client which waits goes on."""
    return page("Signed in", "<p>You are signed in. You can close this page.</p>")


def sent() -> Reply[None]:
    """Tell the user that the client can go on, because the provider has posted what it waits for."""
    return page("Signing in", "<p>Your provider has answered. You can close this page.</p>")


def failed(reason: str) -> Reply[None]:
    """Tell the user why the sign-in failed."""
    text = reason.removeprefix("OpenBao login failed. ")
    return page("Sign-in failed", f'<p class="problem">{html.escape(text)}</p>', status=400)

# SPDX-License-Identifier: EUPL-1.2
"""What a browser shows that comes back from a provider. Nothing that the provider sent is on it (SL-35)."""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Final

from vault.framework.call import Reply

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}button{font:inherit;padding:.5rem 1.25rem}dt{font-weight:600}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#151515}}"
)
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def confirm(*, role: str, address: str, state: str, code: str, confirmation: str) -> Reply[None]:
    """Ask the user whether it was they who began this; the button sends what is needed to go on."""
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
        for name, value in (("state", state), ("code", code), ("confirmation", confirmation))
    )
    return _page(
        "Confirm sign-in",
        "<p>Somebody asks to sign in to the vault in your name. Confirm only if it was you, from this address, a "
        "moment ago. Otherwise close this page.</p>"
        f"<dl><dt>Role</dt><dd>{html.escape(role)}</dd><dt>Asked from</dt><dd>{html.escape(address)}</dd></dl>"
        f'<form method="get">{hidden}<button type="submit">Confirm sign-in</button></form>',
    )


def done() -> Reply[None]:
    """Tell the user that the client which waits goes on."""
    return _page("Signed in", "<p>You are signed in. You can close this page.</p>")


def _page(title: str, content: str) -> Reply[None]:
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{content}</body></html>\n"
    )
    return Reply(raw=text.encode(), content_type="text/html; charset=utf-8", headers=_HEADERS)

# SPDX-License-Identifier: EUPL-1.2
"""The few pages that people see in a browser: no script, no picture, nothing from other servers, never in a frame."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from vault.framework.reply import Reply

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}button,input{font:inherit;padding:.5rem .75rem;box-sizing:border-box}button{margin:1rem .5rem 0 0;"
    "padding:.5rem 1.25rem}input{display:block;width:100%;margin:.25rem 0 .75rem}dt{font-weight:600}"
    "summary{margin:.5rem 0}.problem{border-left:4px solid #b00020;padding-left:.75rem}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#151515}}"
)
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def page(title: str, content: str, *, status: int = 200, leads_to: str = "") -> Reply[None]:
    """Return a page; `content` is HTML. Its forms may lead to this server, and to the origin of the URL `leads_to`."""
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{content}</body></html>\n"
    )
    headers = {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'{_origin(leads_to)}; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
        "Referrer-Policy": "same-origin",  # a stricter policy would hide where a form comes from
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "cache-control": "no-store",
    }
    headers.update(come_again(status))
    return Reply(raw=text.encode(), status=status, content_type="text/html; charset=utf-8", headers=headers)


def come_again(status: int) -> Mapping[str, str]:
    """Return `Retry-After` for an answer that means "not now" (RFC 9110, section 10.2.3), else nothing."""
    return {"retry-after": "1"} if status in {429, 503} else {}


def hidden(fields: Mapping[str, str]) -> str:
    """Return the hidden inputs of a form."""
    return "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a description list of names and values."""
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{rows}</dl>"


def _origin(url: str) -> str:
    """Return the further origin that forms may lead to, as a source of the policy: it holds for redirects too."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        return f" {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return f" {parts.scheme}:" if parts.scheme else ""

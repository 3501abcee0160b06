# SPDX-License-Identifier: EUPL-1.2
"""Logins that failed of late, and the reasons, which clients are not told."""

from __future__ import annotations

from starlette.responses import Response

from vault.ui.html.components import chooser, lines, method, row, table, when
from vault.ui.html.elements import el
from vault.ui.html.layout import page
from vault.ui.session.visit import Visit, objects, text, texts


async def failed_logins(visit: Visit) -> Response:
    """Show which logins of workloads failed, the latest first, each with the reason."""
    found = await visit.get("failures")
    rows = [
        row(
            text(one, "registration") or "no registration of that name",
            method(text(one, "method")),
            text(one, "message"),
            text(one, "count"),
            when(text(one, "time")),
            lines(texts(one, "sources"), "id"),
        )
        for one in objects(found, "failures")
    ]
    return page(
        "Failed logins",
        chooser(visit, "failures"),
        el(
            "p",
            "Clients are told the same for every reason. This is what this server has in memory since it was unsealed; "
            "the audit log has every failure of every server.",
        ),
        table(
            "The latest comes first.",
            ("Registration", "Method", "Why it failed", "Times", "Last (UTC)", "From address"),
            rows,
            empty="No login has failed since then.",
        ),
        session=visit.session,
        mount=visit.mount,
        here="failures",
    )

# SPDX-License-Identifier: EUPL-1.2
"""What takes long is done neither on the event loop nor within a transaction: others are answered meanwhile."""

import asyncio
import threading
from typing import Any

import pytest

from nhi.identity.mfa import method_routes
from tests.routes.driver import Answer, Application
from vault.engines.totp import engine as totp

_KEY = {"generate": True, "issuer": "x", "account_name": "x"}


def _method(application: Application) -> dict[str, str]:
    """Make a TOTP method and an entity; return their ids."""
    made = [
        application.request("POST", f"/v1/identity/{path}", body, token="root").json()["data"]
        for path, body in (("mfa/method/totp", {"issuer": "x"}), ("entity", {"name": "y"}))
    ]
    return {"method_id": made[0]["method_id"], "entity_id": made[1]["id"]}


@pytest.mark.parametrize("where", ["totp", "mfa"])
def test_sl_74_a_picture_is_drawn_while_others_write(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, written = threading.Event(), threading.Event()

    def draw(*text: object, refusal: str) -> str:
        del text, refusal
        begun.set()
        assert threading.current_thread() is not threading.main_thread()
        assert written.wait(60)
        return "drawn"

    monkeypatch.setattr(totp if where == "totp" else method_routes, "barcode", draw)
    with Application() as application:
        path, body = (
            ("totp/keys/y", _KEY)
            if where == "totp"
            else ("identity/mfa/method/totp/admin-generate", _method(application))
        )

        async def both() -> Answer:
            drawn: asyncio.Task[Answer] = asyncio.create_task(
                application.ask("POST", f"/v1/{path}", body, token="root")
            )
            await asyncio.to_thread(begun.wait, 60)
            other = await application.ask("POST", "/v1/plain/y", {"a": 1}, token="root")
            assert other.status == 204
            written.set()
            return await drawn

        answer: Any = application.run(both())
        assert answer.status == 200, answer.body
        assert answer.json()["data"]["barcode"] == "drawn"
        assert answer.json()["data"]["url"].startswith("otpauth://totp/x:")

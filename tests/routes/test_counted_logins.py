# SPDX-License-Identifier: EUPL-1.2
"""A failed login counts once, and is refused as ever, although the facts that it was judged by change meanwhile."""

from urllib.parse import urlencode

import pytest

from tests.routes.issuer import Issuer
from tests.routes.test_imported_secrets import _imported
from tests.routes.test_proofs import _form, _register
from vault.barrier.view import ReadView, View
from vault.framework.call import Call
from vault.framework.errors import FactsChanged
from vault.pipeline import Pipeline
from vault.policy.store import POLICY_KIND
from vault.token.lockout import Lockout


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that failures were counted for; with each a policy changes."""
    names: list[str] = []
    count = Lockout.count

    async def counting(self: Lockout, call: Call, view: View, name: str, *, known: bool) -> None:
        names.append(name)
        await count(self, call, view, name, known=known)
        await view.invalidate(POLICY_KIND, "root:other")

    monkeypatch.setattr(Lockout, "count", counting)
    return names


def test_a_wrong_password_counts_once(issuer: Issuer, counted: list[str]) -> None:
    issuer.root("sys/auth/up", {"type": "userpass"})
    issuer.root("auth/up/users/ann", {"password": "right"})

    def login(name: str, password: str) -> int:
        body = {"password": password}
        return issuer.application.request("POST", f"/v1/auth/up/login/{name}", body).status

    assert [login("ann", "wrong") for _ in range(4)] == [400] * 4
    assert [login("nobody", "wrong") for _ in range(2)] == [400] * 2
    assert counted == ["ann"] * 4 + ["nobody"] * 2
    assert login("ann", "right") == 200


def test_a_role_that_nobody_has_counts_once_where_its_login_starts_over(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.root("sys/auth/ar", {"type": "approle"})
    invoke, seen = Pipeline.invoke, set[str]()

    async def moving(self: Pipeline, call: Call, view: ReadView | None) -> object:
        answer = await invoke(self, call, view)
        if call.path == "auth/ar/login" and call.id not in seen:
            seen.add(call.id)
            raise FactsChanged
        return answer

    monkeypatch.setattr(Pipeline, "invoke", moving)
    body = {"role_id": "none", "secret_id": "x"}
    answers = [issuer.application.request("POST", "/v1/auth/ar/login", body).status for _ in range(6)]
    assert answers == [400] * 5 + [403]
    assert len(seen) == 5


def test_a_wrong_secret_counts_once(issuer: Issuer, counted: list[str]) -> None:
    _register(issuer)
    issuer.root("nhi/registrations/r/secret", {"secret_hash": _imported("sha256"), "secret_ttl": "1d"})

    def exchange(secret: str) -> int:
        asked = {"grant_type": "client_credentials", "client_id": "r", "client_secret": secret}
        return int(_form(issuer, "token", urlencode(asked)).status)

    assert [exchange("new") for _ in range(4)] == [401] * 4
    assert counted == ["r"] * 4
    assert exchange("old") == 200

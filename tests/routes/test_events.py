# SPDX-License-Identifier: EUPL-1.2
"""What the log calls the requests of the whole application, and what these are about."""

from collections.abc import Iterator

import pytest

from tests.routes.driver import Application
from vault.audit.broker import Broker, Taken
from vault.framework.call import Call
from vault.framework.errors import VaultError
from vault.framework.reply import Reply
from vault.log.events import event_name, resource

Seen = list[tuple[str, str, str]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Event, and type and id of the resource, of each call that was recorded."""
    found: Seen = []
    record = Broker.response

    def response(
        self: Broker, call: Call, reply: Reply[object] | None, error: VaultError | None = None
    ) -> Taken:
        route = call.bound.route if hasattr(call, "bound") else None
        found.append((event_name(route, call.mount.kind, call.operation), *resource(call)))
        return record(self, call, reply, error)

    monkeypatch.setattr(Broker, "response", response)
    return found


@pytest.fixture
def application(seen: Seen) -> Iterator[Application]:
    with Application() as application:
        seen.clear()
        yield application


@pytest.mark.parametrize(
    ("method", "path", "event"),
    [
        ("POST", "data", "esa.kv.write"),
        ("POST", "delete", "esa.kv.delete"),
        ("POST", "undelete", "esa.kv.undelete"),
        ("GET", "metadata", "esa.kv.metadata.read"),
        ("GET", "subkeys", "esa.kv.subkeys.read"),
        ("POST", "destroy", "esa.kv.destroy"),
        ("DELETE", "metadata", "esa.kv.metadata.delete"),
    ],
)
def test_whatever_is_done_to_a_secret_is_found_under_its_one_id(
    application: Application, seen: Seen, method: str, path: str, event: str
) -> None:
    application.request(method, f"/v1/secret/{path}/app/db", {"data": {}, "versions": [1]}, token="root")
    assert seen == [(event, "kv.secret", "secret/app/db")]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "plain/a/b", ("esa.kv.read", "kv.secret", "plain/a/b")),
        ("LIST", "secret/metadata/a", ("esa.kv.list", "kv.folder", "secret/a/")),
        ("LIST", "plain/", ("esa.kv.list", "kv.folder", "plain/")),
        ("GET", "secret/data/a?help=1", ("esa.kv.help", "kv", "secret/data/a")),
        ("GET", "nowhere/a", ("esa.request.read", "request", "nowhere/a")),
        ("GET", "secret/nowhere/a", ("esa.kv.read", "kv", "secret/nowhere/a")),
        ("PUT", "sys/policies/acl/p", ("esa.policy.write", "policy", "sys/policies/acl/p")),
        ("POST", "auth/token/create", ("esa.auth.token.issue", "auth", "auth/token/create")),
        ("POST", "auth/userpass/login/ann", ("esa.auth.login", "auth", "auth/userpass/login/ann")),
    ],
)
def test_every_other_request_is_found_under_its_path(
    application: Application, seen: Seen, method: str, path: str, expected: tuple[str, str, str]
) -> None:
    application.request(method, f"/v1/{path}", {"policy": ""} if method == "PUT" else {}, token="root")
    assert seen == [expected]


def test_a_secret_of_a_tenant_is_told_from_one_of_another(application: Application, seen: Seen) -> None:
    application.request("POST", "/v1/sys/namespaces/one", {}, token="root")
    application.request("POST", "/v1/one/sys/mounts/kv", {"type": "kv"}, token="root")
    application.request("GET", "/v1/one/kv/x", token="root")
    assert seen[-1] == ("esa.kv.read", "kv.secret", "one/kv/x")

# SPDX-License-Identifier: EUPL-1.2
"""Log levels, counts, plugins and leadership in the whole application; what is off is off for everybody."""

from collections.abc import Iterator

import pytest

from tests.routes.driver import Application
from vault.framework.telemetry.log import MODULES

LOGS = "/v1/sys/loggers"
PLUGINS = "/v1/sys/plugins"
OFF = ("rekey/init", "rekey/update", "rekey/verify", "generate-root/attempt", "generate-root/update")


@pytest.fixture(scope="module")
def server() -> Iterator[Application]:
    with Application() as application:
        yield application


def _ask(
    server: Application, method: str, path: str, body: object = None, token: str = "root"
) -> tuple[int, str]:
    answer = server.request(method, path, body, token=token)
    return answer.status, answer.body.decode()


def _levels(server: Application) -> dict[str, str]:
    levels: dict[str, str] = server.request("GET", LOGS, token="root").json()["data"]
    return levels


def test_levels_are_set_for_one_part_or_for_all_and_reset(server: Application) -> None:
    assert _ask(server, "DELETE", LOGS)[0] == 204
    assert _levels(server) == dict.fromkeys(MODULES, "info")
    assert _ask(server, "POST", f"{LOGS}/core", {"level": "Warning"})[0] == 204
    assert _levels(server) == {**dict.fromkeys(MODULES, "info"), "core": "warn"}
    assert server.request("GET", f"{LOGS}/core", token="root").json()["data"] == {"core": "warn"}
    assert _ask(server, "POST", LOGS, {"level": "err"})[0] == 204
    assert _levels(server) == dict.fromkeys(MODULES, "error")
    assert _ask(server, "DELETE", f"{LOGS}/core")[0] == 204
    assert _levels(server)["core"] == "info"
    assert _ask(server, "DELETE", LOGS)[0] == 204
    assert _levels(server) == dict.fromkeys(MODULES, "info")


def test_a_level_holds_for_its_part_alone(server: Application) -> None:
    log = server.vault.ground.log
    _ask(server, "POST", f"{LOGS}/core", {"level": "error"})
    before = len(server.log.getvalue())
    log.note("core", "quiet")
    log.note("seal", "told")
    written = server.log.getvalue()[before:]
    assert ("core: quiet" in written, "seal: told" in written) == (False, True)
    _ask(server, "DELETE", LOGS)


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", f"{LOGS}/core", {}, "level is required"),
        ("POST", LOGS, {"level": ""}, "level is empty"),
        ("POST", LOGS, {"level": "loud"}, "unknown log level: it is one of trace, debug, info, warn, error"),
        ("POST", LOGS, {"level": "correct horse battery"}, "unknown log level: it is one of"),
        ("POST", f"{LOGS}/nope", {"level": "info"}, 'logger \\"nope\\" not found'),
        ("DELETE", f"{LOGS}/nope", None, 'logger \\"nope\\" not found'),
        ("POST", f"{PLUGINS}/reload/backend", {}, "plugin or mounts must be provided"),
        (
            "POST",
            f"{PLUGINS}/reload/backend",
            {"plugin": "kv", "mounts": "a"},
            "cannot be set at the same time",
        ),
        ("POST", f"{PLUGINS}/reload/backend", {"plugin": "kv", "scope": "x"}, "scope must be unset"),
        ("POST", f"{PLUGINS}/reload/backend", {"plugin": "nope"}, "plugin not found in the catalog"),
        ("POST", f"{PLUGINS}/reload/backend", {"plugin": "token"}, "singleton plugin cannot be reloaded"),
        ("POST", f"{PLUGINS}/reload/backend", {"mounts": ["a", "sys"]}, "2 errors occurred"),
        ("POST", f"{PLUGINS}/catalog/secret/x", {}, "missing SHA-256 value"),
        ("POST", f"{PLUGINS}/catalog/secret/x", {"sha256": "aa"}, "missing command value"),
        ("POST", f"{PLUGINS}/catalog/secret/x", {"sha256": "zz", "command": "x"}, "Could not decode"),
        ("POST", f"{PLUGINS}/catalog/secret/x", {"sha256": "aa", "command": "x"}, "is not 32 bytes"),
        (
            "POST",
            f"{PLUGINS}/catalog/secret/x",
            {"sha256": "aa" * 32, "command": "x"},
            "plugin directory is not configured",
        ),
        ("GET", "/v1/sys/internal/inspect/router/root", None, "introspection_endpoint"),
        ("GET", "/v1/sys/internal/inspect/request", None, "introspection_endpoint"),
    ],
)
def test_what_cannot_be_done_is_refused(
    server: Application, method: str, path: str, body: object, words: str
) -> None:
    status, text = _ask(server, method, path, body)
    assert (status, words in text) == (400, True), text


def test_plugins_are_part_of_the_server_and_reloaded_by_doing_nothing(server: Application) -> None:
    answer = server.request("POST", f"{PLUGINS}/reload/backend", {"mounts": ["plain"]}, token="root")
    assert answer.json()["data"] == {"reload_id": answer.json()["request_id"]}
    assert _ask(server, "POST", f"{PLUGINS}/reload/backend", {"plugin": "kv"})[0] == 200
    assert _ask(server, "DELETE", f"{PLUGINS}/catalog/secret/x")[0] == 204


def test_entities_are_counted_wherever_they_live(server: Application) -> None:
    def count(namespace: str = "") -> int:
        path = f"/v1/{namespace}sys/internal/counters/entities"
        return int(server.request("GET", path, token="root").json()["data"]["counters"]["entities"]["total"])

    before = count()
    server.request("POST", "/v1/sys/namespaces/peopled", {}, token="root")
    for path, body in (("/v1/", {"name": "ann"}), ("/v1/peopled/", {"name": "bob", "disabled": True})):
        assert server.request("POST", f"{path}identity/entity", body, token="root").status == 200
    assert count() == before + 2
    assert count("peopled/") == 1


def test_tokens_are_counted_wherever_they_live(server: Application) -> None:
    def count() -> int:
        answer = server.request("GET", "/v1/sys/internal/counters/tokens", token="root").json()
        return int(answer["data"]["counters"]["service_tokens"]["total"])

    before = count()
    server.request("POST", "/v1/sys/namespaces/counted", {}, token="root")
    for path in ("/v1/auth/token/create", "/v1/counted/auth/token/create"):
        server.request("POST", path, {"policies": ["default"]}, token="root")
    assert count() == before + 2


def test_there_is_nobody_else_to_lead(server: Application) -> None:
    assert _ask(server, "POST", "/v1/sys/step-down", {})[0] == 204
    assert _ask(server, "POST", "/v1/sys/step-down", {}, token="")[0] == 403


@pytest.mark.parametrize("path", OFF)
@pytest.mark.parametrize("token", ["", "root"])
def test_nobody_begins_anything_without_a_token_nor_there_with_one(
    server: Application, path: str, token: str
) -> None:
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        status, text = _ask(server, method, f"/v1/sys/{path}", body, token)
        assert (status, text) == (405, '{"errors":["unsupported operation"]}\n')

# SPDX-License-Identifier: EUPL-1.2
"""The request path under what happens around it: facts that change meanwhile, storage that fails, a seal."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.routes.driver import Answer, Application
from vault.framework.call import Namespace
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.ids import ROOT_ID, NamespaceId

INTERNAL = {"errors": ["internal error"]}


def quiet(name: str) -> None:
    """Nothing happens."""


class Interference:
    """What happens at a storage statement; `at` is called with its name."""

    def __init__(self) -> None:
        self.at: Callable[[str], None] = quiet

    def __call__(self, name: str) -> None:
        self.at(name)


@pytest.fixture
def interference() -> Interference:
    return Interference()


@pytest.fixture
def application(interference: Interference) -> Iterator[Application]:
    with Application(MemoryStorage(on_statement=interference)) as application:
        application.records()
        yield application
        interference.at = quiet


async def change_a_fact(application: Application) -> None:
    """Say, as another process would, that something cached became untrue."""
    async with application.storage.write() as tx:
        await tx.invalidate("policy", "somebody-elses")


def ask_after_a_change(application: Application, method: str, path: str, body: object = None) -> Answer:
    async def both() -> Answer:
        await change_a_fact(application)
        return await application.ask(method, f"/v1/{path}", body, token="root")

    answer: Answer = application.run(both())
    return answer


def test_a_call_that_starts_over_creates_what_it_would_have_created(application: Application) -> None:
    answer = ask_after_a_change(application, "POST", "secret/data/new", {"data": {"a": 1}})
    assert answer.status == 200, answer.body
    assert answer.json()["data"]["version"] == 1
    assert [r["request"]["operation"] for r in application.records()] == ["create", "create"]


def test_a_call_that_starts_over_warns_once(application: Application) -> None:
    answer = ask_after_a_change(application, "POST", "auth/token/lookup-self", {"colour": "red"})
    assert answer.json()["warnings"] == ["Endpoint ignored these unrecognized parameters: [colour]"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "secret/data/x", 200),
        ("GET", "secret/data/missing", 404),
        ("LIST", "secret/metadata", 200),
        ("GET", "nowhere/x", 404),
        ("DELETE", "secret/data/x", 204),
        ("GET", "secret/data/x?help=1", 200),
    ],
)
def test_a_change_meanwhile_shows_in_no_answer(
    application: Application, method: str, path: str, status: int
) -> None:
    assert ask_after_a_change(application, method, path).status == status
    assert [record["type"] for record in application.records()] == ["request", "response"]


def test_a_use_limited_token_loses_one_use_however_often_its_call_starts_over(
    application: Application,
) -> None:
    body = {"num_uses": 2, "policies": ["root"]}
    made = application.request("POST", "/v1/auth/token/create", body, token="root")
    token = made.json()["auth"]["client_token"]

    async def both() -> Answer:
        await change_a_fact(application)
        return await application.ask("POST", "/v1/secret/data/limited", {"data": {"a": 1}}, token=token)

    assert application.run(both()).status == 200
    assert application.request("GET", "/v1/secret/data/limited", token=token).status == 200
    assert application.request("GET", "/v1/secret/data/limited", token=token).status == 403


def test_a_revocation_by_another_process_is_obeyed_by_the_next_request(application: Application) -> None:
    made = application.request("POST", "/v1/auth/token/create", {}, token="root").json()["auth"]
    lookup = "/v1/auth/token/lookup-self"
    assert application.request("GET", lookup, token=made["client_token"]).status == 200
    vault = application.vault
    key = vault.credentials.tokens.key(made["client_token"])

    async def revoke_behind_its_back() -> None:
        async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
            await vault.credentials.tokens.revoke_tree(core, key)

    application.run(revoke_behind_its_back())
    assert application.request("GET", lookup, token=made["client_token"]).status == 403


def test_steady_revocations_starve_no_other_write(tmp_path: Path) -> None:
    storage = SqliteStorage.open(tmp_path / "vault.db")
    with Application(storage) as application:

        async def client(number: int) -> list[int]:
            seen = []
            for step in range(6):
                made = await application.ask("POST", "/v1/auth/token/create", {}, token="root")
                token = made.json().get("auth", {}).get("client_token", "")
                done = await application.ask("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
                body = {"data": {"step": step}}
                wrote = await application.ask("POST", f"/v1/secret/data/{number}", body, token="root")
                seen += [made.status, done.status, wrote.status]
            return seen

        async def everybody() -> list[list[int]]:
            return await asyncio.gather(*(client(number) for number in range(24)))

        for seen in application.run(everybody()):
            assert seen == [200, 204, 200] * 6
    asyncio.run(storage.close())


@pytest.mark.parametrize(("method", "path"), [("GET", "secret/data/x"), ("POST", "secret/data/x")])
def test_facts_that_never_stand_still_are_a_refusal_and_no_loop(
    application: Application, interference: Interference, method: str, path: str
) -> None:
    storage = application.storage
    assert isinstance(storage, MemoryStorage)

    def move(name: str) -> None:
        storage.data.epoch += 1

    interference.at = move
    answer = application.request(method, f"/v1/{path}", {"data": {"a": 1}}, token="root")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "kept changing; try again" in answer.json()["errors"][0]
    assert "defect" not in application.log.getvalue()


def test_sl_38_a_credential_that_nobody_recognises_is_refused(application: Application) -> None:
    handle: Any = application.vault._requests.handle
    pipeline = handle.__self__
    pipeline._authenticators = ()
    assert application.request("GET", "/v1/secret/data/x", token="root").status == 403
    assert application.request("GET", "/v1/sys/seal-status", token="root").status == 200


def test_a_policy_bounds_and_filters_what_a_list_shows(application: Application) -> None:
    for name in ("a", "b", "c"):
        application.request("POST", f"/v1/secret/data/{name}", {"data": {"a": 1}}, token="root")
    rules = 'path "secret/metadata/*" { capabilities = ["list"] pagination_limit = 2 }'
    answer = application.request("LIST", "/v1/secret/metadata", token=application.token(rules))
    assert answer.json()["data"]["keys"] == ["a", "b"]
    rules = """path "secret/metadata/*" {
      capabilities = ["list"]
      list_scan_response_keys_filter_path = "secret/data/{{ .key }}"
    }
    path "secret/data/b" { capabilities = ["read"] }"""
    answer = application.request("LIST", "/v1/secret/metadata", token=application.token(rules))
    assert answer.json()["data"]["keys"] == ["b"]


@pytest.mark.parametrize("verb", ["LIST", "SCAN"])
@pytest.mark.parametrize("asked", [True, False])
def test_what_a_list_does_not_show_waits_behind_no_wrapping_token(
    application: Application, verb: str, *, asked: bool
) -> None:
    for name in ("a", "b"):
        application.request("POST", f"/v1/secret/data/{name}", {"data": {"a": 1}}, token="root")
    cut = "" if asked else ' list_scan_response_keys_filter_path = "secret/data/{{ .key }}"'
    rules = f"""path "secret/metadata/*" {{ capabilities = ["list", "scan"]{cut} }}
    path "secret/data/b" {{ capabilities = ["read"] }}"""
    headers = {"x-vault-wrap-ttl": "60", **({"x-vault-list-filter": "readable"} if asked else {})}
    token = application.token(rules)
    kept = application.request(verb, "/v1/secret/metadata", token=token, headers=headers).json()["wrap_info"]
    found = application.request("POST", "/v1/sys/wrapping/unwrap", {}, token=kept["token"])
    assert found.json()["data"]["keys"] == ["b"]


def test_a_list_of_nothing_that_was_to_be_wrapped_is_told_in_the_fields_words(
    application: Application,
) -> None:
    def told(verb: str, **headers: str) -> tuple[int, Any]:
        answer = application.request(verb, "/v1/secret/metadata/none", token="root", headers=headers)
        return answer.status, answer.json().get("errors")

    assert told("LIST") == (404, [])
    assert told("LIST", **{"x-vault-wrap-ttl": "60"}) == (404, ["unsupported path"])
    assert told("GET", **{"x-vault-wrap-ttl": "60"}) == (404, [])


def test_a_refusal_of_a_route_that_is_not_audited_leaves_no_record(application: Application) -> None:
    assert application.request("GET", "/v1/sys/health?activecode=x").status == 400
    assert application.records() == []


def test_a_refusal_while_sealed_is_the_handlers_own(application: Application) -> None:
    application.request("PUT", "/v1/sys/seal", {}, token="root")
    answer = application.request("PUT", "/v1/sys/unseal", {"key": "not a key"})
    assert answer.status == 400 and "key" in str(answer.json()["errors"])


@pytest.mark.parametrize("statement", ["get", "put", "list"])
def test_storage_that_fails_is_told_as_such_and_undoes_everything(
    application: Application, interference: Interference, statement: str
) -> None:
    def fail(name: str) -> None:
        if name == statement:
            raise StorageFailure("storage: disk on fire")

    interference.at = fail
    method, path = ("LIST", "secret/metadata") if statement == "list" else ("POST", "secret/data/failing")
    answer = application.request(method, f"/v1/{path}", {"data": {"a": 1}}, token="root")
    interference.at = quiet
    assert (answer.status, answer.json()) == (500, INTERNAL)
    assert [record["type"] for record in application.records()] == ["request", "response"]
    assert application.request("GET", "/v1/secret/data/failing", token="root").status == 404


def test_a_defect_is_logged_by_its_place_and_answered_without_a_word(
    application: Application, interference: Interference
) -> None:
    def break_down(name: str) -> None:
        if name == "put":
            raise ZeroDivisionError("a secret of the request")

    interference.at = break_down
    answer = application.request("POST", "/v1/secret/data/broken", {"data": {"a": 1}}, token="root")
    interference.at = quiet
    assert (answer.status, answer.json()) == (500, INTERNAL)
    log = application.log.getvalue()
    assert "a request met a defect" in log and "exception=ZeroDivisionError" in log
    assert "a secret of the request" not in log
    assert application.request("GET", "/v1/secret/data/broken", token="root").status == 404


def test_a_seal_in_the_middle_of_a_request_answers_that_the_vault_is_sealed(
    application: Application, interference: Interference
) -> None:
    def seal(name: str) -> None:
        if name == "get":
            application.vault.ground.barrier.seal()

    interference.at = seal
    answer = application.request("POST", "/v1/secret/data/late", {"data": {"a": 1}}, token="root")
    interference.at = quiet
    assert (answer.status, answer.json()) == (503, {"errors": ["Vault is sealed"]})


@pytest.mark.parametrize("path", ["sys/host-info", "sys/config/state/sanitized", "sys/in-flight-req"])
def test_a_seal_while_the_caller_is_looked_up_lets_nobody_in_unasked(
    application: Application, interference: Interference, path: str
) -> None:
    body = {"num_uses": 5, "policies": ["default"]}
    made = application.request("POST", "/v1/auth/token/create", body, token="root").json()["auth"]
    assert application.request("GET", f"/v1/{path}", token=made["client_token"]).status == 403

    def seal(name: str) -> None:
        if name == "put":
            application.vault.ground.barrier.seal()

    interference.at = seal
    answer = application.request("GET", f"/v1/{path}", token=made["client_token"])
    interference.at = quiet
    assert (answer.status, answer.json()) == (503, {"errors": ["Vault is sealed"]})


def test_a_public_route_takes_a_valid_token_along_and_ignores_any_other(application: Application) -> None:
    for token in ("root", "s.nobodyHasThisToken000000", ""):
        assert application.request("GET", "/v1/sys/seal-status", token=token).status == 200
    with_token, with_none = (
        application.request("GET", "/v1/sys/internal/ui/mounts", token=token).json()["data"]["secret"]
        for token in ("root", "")
    )
    assert "secret/" in with_token and "secret/" not in with_none


def test_a_form_is_read_as_one_and_json_in_it_as_json(application: Application) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"bytes=4&format=hex", b'{"bytes": 4, "format": "hex"}'):
        answer = application.request("POST", "/v1/sys/tools/random", body, token="root", headers=form)
        assert len(answer.json()["data"]["random_bytes"]) == 8


def test_what_follows_a_request_happens_after_its_record(application: Application) -> None:
    assert application.request("PUT", "/v1/sys/seal", {}, token="root").status == 204
    assert [record["type"] for record in application.records()] == ["request", "response"]
    assert application.request("GET", "/v1/secret/data/x", token="root").status == 503
    application.reopen()
    assert application.request("GET", "/v1/secret/data/x", token="root").status == 200


def test_help_on_a_mount_lists_its_paths_as_patterns_in_order(application: Application) -> None:
    told = application.request("GET", "/v1/secret?help=1", token="root").json()
    assert list(told) == ["help", "openapi", "see_also"]
    description, _, paths = told["help"].partition("\n\n## PATHS\n\n")
    assert description.startswith("## DESCRIPTION\n\nSecrets with versions")
    patterns = [line.strip() for line in paths.splitlines() if line.startswith("    ^")]
    assert patterns == sorted(patterns) and len(patterns) == len(set(patterns))
    assert r"^undelete/(?P<path>.*)$" in patterns and r"^detailed-metadata/(?P<path>.*)$" in patterns
    assert "/undelete/{path}" in told["openapi"]["paths"]
    assert all(len(path) > 1 and not path.startswith("/secret") for path in told["openapi"]["paths"])
    assert "SL-" not in application.request("GET", "/v1/sys/?help=1", token="root").json()["help"]


def test_help_on_a_path_names_its_pattern_its_parameters_in_order_and_each_operation(
    application: Application,
) -> None:
    told = application.request("GET", "/v1/secret/undelete/x?help=1", token="root").json()
    head = "Request:        undelete/x\nMatching Route: ^undelete/(?P<path>.*)$\n\nRestore deleted versions."
    assert told["help"].startswith(head)
    assert "\n\n## PARAMETERS\n\n    path (string)\n\n" in told["help"]
    assert (
        "\n\n## DESCRIPTION\n\nWhat each operation does.\n\n    UPDATE secret/undelete/{path}\n"
        in told["help"]
    )
    assert list(told["openapi"]["paths"]) == ["/undelete/{path}"]


def test_help_is_about_the_nearest_path_and_what_lists_there(application: Application) -> None:
    for path, wanted in (
        ("sys/mounts/x/tune", ["/mounts/{path}/tune"]),
        ("sys/policies/acl/x", ["/policies/acl/{name}", "/policies/acl/{prefix}"]),
        ("sys/seal", ["/seal"]),
        ("sys/unseal", ["/unseal"]),
    ):
        answer = application.request("GET", f"/v1/{path}?help=1", token="root")
        assert answer.status == 200 and list(answer.json()["openapi"]["paths"]) == wanted, path
        assert application.request("GET", f"/v1/{path}?help=1").status == 403
    assert application.request("GET", "/v1/sys/seal", token="root").status == 405
    assert application.request("GET", "/v1/sys/seal?help=", token="root").status == 405


def test_a_write_that_waited_never_goes_to_a_namespace_that_its_path_no_longer_leads_to(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, body in (("sys/namespaces/team", {}), ("team/sys/mounts/kv", {"type": "kv"})):
        assert application.request("POST", f"/v1/{path}", body, token="root").status < 300
    vault = application.vault
    tenant = vault.mounts.namespaces._by_path["team/"]
    catch_up, before, turns = vault.ground.follower.catch_up, tenant.namespace, iter(("as it was", "another"))

    async def another_for_a_moment() -> None:
        await catch_up()
        turn = next(turns, "as it was")
        tenant.namespace = Namespace(NamespaceId("zzzzzz"), "team/") if turn == "another" else before
        vault.mounts.router._found.clear()

    monkeypatch.setattr(vault.ground.follower, "catch_up", another_for_a_moment)
    answer = ask_after_a_change(application, "POST", "team/kv/a", {"x": "1"})
    assert answer.status == 204 and next(turns, None) is None
    paths = application.run(application.storage.reader().scan("ns/"))
    assert not [path for path in paths if "zzzzzz" in path]
    assert application.request("GET", "/v1/team/kv/a", token="root").json()["data"] == {"x": "1"}

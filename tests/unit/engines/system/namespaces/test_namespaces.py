# SPDX-License-Identifier: EUPL-1.2
"""sys/namespaces through the whole application: life, locks, moves between namespaces, and what stays behind."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.routes.driver import Answer, Application
from tests.turns import of_others
from vault.barrier.stored import raw
from vault.namespace.entry import NamespaceEntry
from vault.values.ids import ROOT_ID

NS = "sys/namespaces"


@pytest.fixture
def application() -> Iterator[Application]:
    with Application() as application:
        yield application


def ask(
    application: Application,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str = "root",
    **headers: str,
) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return application.request(method, f"/v1/{path}", body, token=token, headers=named)


def data(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json()["data"]


def error(answer: Answer) -> tuple[int, str]:
    return answer.status, (answer.json()["errors"] or [""])[0]


def make(application: Application, *paths: str) -> None:
    for path in paths:
        outer, _, name = path.rpartition("/")
        data(ask(application, "POST", f"{outer}/{NS}/{name}" if outer else f"{NS}/{name}", {}))


def entry(application: Application, path: str) -> NamespaceEntry:
    found = application.vault.mounts.namespaces.at(path)
    assert found is not None
    return found


def test_metadata_is_written_merged_and_cleared(application: Application) -> None:
    made = data(ask(application, "POST", f"{NS}/a", {"custom_metadata": {"b": "2", "a": "1"}}))
    assert list(made["custom_metadata"]) == ["a", "b"] and len(made["id"]) == 6
    epoch = application.vault.ground.follower.epoch
    again = data(ask(application, "POST", f"{NS}/a", {"custom_metadata": {"a": "1", "b": "2"}}))
    assert again == made and application.vault.ground.follower.epoch == epoch
    changed = data(ask(application, "PATCH", f"{NS}/a", {"custom_metadata": {"a": None, "c": "3"}}))
    assert changed["custom_metadata"] == {"b": "2", "c": "3"}
    for wrong in (5, True, ["x"], {"x": 1}):
        for method in ("PATCH", "POST"):
            answer = ask(application, method, f"{NS}/a", {"custom_metadata": {"a": wrong}})
            assert answer.status == 400 and "5" not in str(answer.json())
    assert data(ask(application, "PATCH", f"{NS}/a", {})) == changed
    assert data(ask(application, "PATCH", f"{NS}/a", {"custom_metadata": None}))["custom_metadata"] == {}
    assert error(ask(application, "PATCH", f"{NS}/none", {})) == (400, "namespace not found")


def test_what_is_being_removed_keeps_its_name_until_it_is_gone(application: Application) -> None:
    make(application, "a", "a/b")
    assert error(ask(application, "DELETE", f"{NS}/a")) == (
        400, "unable to delete namespace containing child namespaces",
    )  # fmt: skip
    application.run(application.vault._background.stop())
    made = entry(application, "a/b/")
    assert data(ask(application, "DELETE", f"a/{NS}/b")) == {"status": "in-progress"}
    assert data(ask(application, "DELETE", f"a/{NS}/b")) == {"status": "in-progress"}
    assert data(ask(application, "GET", f"a/{NS}/b"))["tainted"] is True
    tainted = (400, "namespace with that name exists and is currently tainted")
    assert error(ask(application, "POST", f"a/{NS}/b", {})) == tainted
    assert error(ask(application, "PATCH", f"a/{NS}/b", {"custom_metadata": {}})) == tainted
    assert (
        error(ask(application, "POST", f"{NS}/api-lock/lock/a/b"))[1] == "requested namespace does not exist"
    )
    assert error(ask(application, "POST", "a/sys/mounts/b", {"type": "kv"}))[1].startswith(
        "existing mount at b/"
    )
    for path in ("a/b/sys/mounts", f"a/b/{NS}"):
        status, text = error(ask(application, "GET", path))
        assert status == 404 and 'on namespace "a/b/". route entry or namespace is tainted' in text
    assert application.run(application.vault._background.work())
    assert ask(application, "GET", f"a/{NS}/b").status == 404
    make(application, "a/b")
    assert entry(application, "a/b/").id != made.id
    paths = application.run(application.storage.reader().scan(""))
    assert not [path for path in paths if made.id in path]


def test_a_lock_opens_by_its_key_or_by_sudo_and_the_key_is_not_kept(application: Application) -> None:
    make(application, "a", "a/b")
    key = data(ask(application, "POST", f"{NS}/api-lock/lock/a"))["unlock_key"]
    assert len(key) == 24 and entry(application, "a/").lock == hashlib.sha256(key.encode()).digest()
    locked = ask(application, "GET", "a/b/sys/mounts")
    assert locked.status == 503 and '"a/" must be unlocked' in error(locked)[1]
    assert error(ask(application, "POST", f"a/{NS}/api-lock/unlock", {"unlock_key": key[:-1]})) == (
        400, "incorrect unlock key",
    )  # fmt: skip
    assert ask(application, "POST", f"a/{NS}/api-lock/unlock", {"unlock_key": key}).status == 204
    assert entry(application, "a/").lock == b"" and ask(application, "GET", "a/b/sys/mounts").status == 200
    data(ask(application, "POST", f"a/{NS}/api-lock/lock"))
    narrow = application.token(f'path "{NS}/api-lock/*" {{ capabilities = ["update"] }}')
    assert error(ask(application, "POST", f"{NS}/api-lock/unlock/a", {}, token=narrow))[0] == 500
    assert ask(application, "POST", f"{NS}/api-lock/unlock/a", {}).json()["warnings"]
    inner = data(ask(application, "POST", f"{NS}/api-lock/lock/a/b"))["unlock_key"]
    assert ask(application, "POST", f"a/{NS}/api-lock/unlock/b", {"unlock_key": inner}).status == 204
    assert (
        error(ask(application, "POST", f"a/{NS}/api-lock/unlock/b", {}))[1]
        == 'namespace "a/b/" is not locked'
    )
    assert (
        error(ask(application, "POST", f"{NS}/api-lock/lock"))[1]
        == "root namespace cannot be locked/unlocked"
    )


def test_a_refusal_by_a_lock_is_recorded_and_nobody_waits_for_it(application: Application) -> None:
    make(application, "a")
    data(ask(application, "POST", f"{NS}/api-lock/lock/a"))
    application.records()
    ask(application, "GET", "a/sys/mounts", token="")
    ask(application, "GET", "sys/mounts", token="bad", x_vault_namespace="a")
    ask(application, "GET", "sys/mounts", x_vault_namespace="nowhere")
    records = application.records()
    assert [record["type"] for record in records] == ["request", "response"] * 3
    assert [record["request"]["path"] for record in records[::2]] == [
        "sys/mounts",
        "sys/mounts",
        "nowhere/sys/mounts",
    ]
    assert all("error" in record for record in records[1::2])


def test_everything_is_there_after_the_vault_was_sealed(application: Application) -> None:
    make(application, "a", "a/b")
    ask(application, "POST", "a/b/sys/mounts/kv", {"type": "kv"})
    ask(application, "POST", "a/b/kv/x", {"y": "z"})
    made = ask(application, "POST", "a/b/auth/token/create", {"policies": ["default"]}).json()["auth"]
    application.request("PUT", "/v1/sys/seal", token="root")
    for path in ("a/b/kv/x", "a/sys/mounts", "a/b/sys/seal-status"):
        assert ask(application, "GET", path).status == 503
    assert ask(application, "GET", "sys/mounts", x_vault_namespace="a").status == 503
    assert ask(application, "GET", "sys/seal-status", x_vault_namespace="a").json()["sealed"] is True
    application.reopen()
    assert data(ask(application, "GET", "a/b/kv/x")) == {"y": "z"}
    own = ask(application, "GET", "auth/token/lookup-self", token=made["client_token"])
    assert data(own)["namespace_path"] == "a/b/"


def test_a_mount_that_moves_to_another_namespace_is_encrypted_for_it(application: Application) -> None:
    make(application, "a")
    ask(application, "POST", "plain/deep/x", {"secret": "moved"})
    before = set(application.run(application.storage.reader().scan("ns/root/mnt/")))
    moved = ask(application, "POST", "sys/remount", {"from": "plain", "to": "a/kv"}).json()
    assert data(ask(application, "GET", "a/kv/deep/x")) == {"secret": "moved"}
    assert ask(application, "GET", "plain/deep/x").status == 404
    left = before - set(application.run(application.storage.reader().scan("ns/root/mnt/")))
    inner = application.run(application.storage.reader().scan(f"ns/{entry(application, 'a/').id}/mnt/"))
    assert left <= set(inner)
    status = data(ask(application, "GET", f"sys/remount/status/{moved['migration_id']}"))
    assert status["migration_info"] == {
        "source_mount": "plain/",
        "target_mount": "a/kv/",
        "status": "success",
    }
    data(ask(application, "POST", "sys/remount", {"from": "a/kv", "to": "plain"}))
    assert data(ask(application, "GET", "plain/deep/x")) == {"secret": "moved"}


def test_others_have_turns_while_a_mount_moves_to_another_namespace(application: Application) -> None:
    make(application, "a")
    barrier, mount = application.vault.ground.barrier, application.vault.mounts.router.root.get("plain/")
    assert mount is not None
    uuid = mount.entry.uuid

    async def move() -> int:
        async with barrier.write(ROOT_ID, "ns/root/") as core:
            for number in range(2000):
                await core.mount(uuid).put(f"entry/{number}", raw(b"{}"))
        async with of_others() as turns:
            answer = await application.ask(
                "POST", "/v1/sys/remount", {"from": "plain", "to": "a/kv"}, token="root"
            )
        assert answer.status == 200
        return turns.count

    assert application.run(move()) > 3


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("plain", "a/", 'invalid destination mount path "a/"'),
        ("a/", "other", 'invalid source mount path "a/"'),
        ("plain", "shut/kv", 'invalid destination mount path "shut/kv/"'),
        ("plain", "a/sys", "cannot remount to destination sys/"),
        ("a/sys", "other", 'cannot remount "sys/"'),
        ("a/auth/token", "auth/other", 'cannot remount "auth/token/"'),
        ("a/none", "other", 'no matching mount at "a/none/"'),
        ("plain", "secret/x", 'path already in use at "secret/"'),
        ("plain", "a/cubbyhole/x", "cannot remount to destination cubbyhole/x/"),
    ],
)
def test_some_moves_are_refused(application: Application, source: str, target: str, words: str) -> None:
    make(application, "a", "shut")
    ask(application, "POST", f"{NS}/api-lock/lock/shut")
    assert error(ask(application, "POST", "sys/remount", {"from": source, "to": target})) == (400, words)


def test_what_waits_in_a_namespace_stays_there_when_it_is_wrapped_again(application: Application) -> None:
    make(application, "a", "b")
    ask(application, "POST", "a/sys/mounts/kv", {"type": "kv"})
    ask(application, "POST", "a/kv/x", {"y": "z"})
    identifier = entry(application, "a/").id
    first = ask(application, "GET", "a/kv/x", x_vault_wrap_ttl="60").json()["wrap_info"]["token"]
    assert first.endswith(identifier)
    second = ask(application, "POST", "sys/wrapping/rewrap", {"token": first}).json()["wrap_info"]
    assert second["token"].endswith(identifier) and second["accessor"].endswith(identifier)
    assert ask(application, "POST", "sys/wrapping/lookup", {"token": first}, token="").status == 400
    assert (
        ask(application, "POST", "b/sys/wrapping/lookup", {"token": second["token"]}, token="").status == 200
    )
    assert data(ask(application, "POST", "b/sys/wrapping/unwrap", {}, token=second["token"])) == {"y": "z"}
    signed = ask(application, "GET", "a/kv/x", x_vault_wrap_ttl="60", x_vault_wrap_format="jwt").json()
    token = signed["wrap_info"]["token"]
    assert token.startswith("eyJ")
    assert data(ask(application, "POST", "sys/wrapping/unwrap", {"token": token})) == {"y": "z"}


def test_a_token_goes_with_what_it_left_in_every_namespace(application: Application) -> None:
    make(application, "a", "a/b")
    everything = application.token('path "*" { capabilities = ["create", "read", "update"] }')
    for place in ("", "a/", "a/b/"):
        assert ask(application, "POST", f"{place}cubbyhole/x", {"of": place}, token=everything).status == 204
    below = ask(application, "POST", "a/auth/token/create", {"policies": ["default"]}).json()["auth"]
    assert below["orphan"] is False

    def kept() -> list[str]:
        paths = application.run(application.storage.reader().scan(""))
        return [path for path in paths if "/mnt/" in path and path.endswith("/x") and "/h" in path]

    before = kept()
    ask(application, "POST", "auth/token/revoke", {"token": everything})
    assert len(before) - len(kept()) == 3


@pytest.mark.parametrize("header", ["\xff", "a\xff", "x/\x7f", ".", "a/..", "\u0085"])
def test_a_header_that_can_name_nothing_leads_nowhere(application: Application, header: str) -> None:
    answer = ask(application, "GET", "sys/mounts", x_vault_namespace=header)
    assert error(answer) == (404, "namespace not found")


def test_many_namespaces_have_ids_of_their_own(application: Application) -> None:
    make(application, *(f"n{number}" for number in range(30)))
    found = data(ask(application, "LIST", NS))
    assert len({info["id"] for info in found["key_info"].values()}) == 30
    assert found["keys"] == sorted(found["keys"])
    assert (
        data(ask(application, "SCAN", f"n1/{NS}")) == {}
        and ask(application, "LIST", f"n1/{NS}").status == 404
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("GET", "a/seal-status", None, "namespace is not sealable"),
        ("POST", "a/seal", {}, "namespace is not sealable"),
        ("POST", "a/unseal", {"key": "aa"}, "namespace is not sealable"),
        ("POST", "a/unseal", {}, "1 error occurred:\n\t* provided key is empty\n\n"),
        ("DELETE", "a/delete-sealed", None, "namespace is not sealed"),
        ("GET", "none/seal-status", None, "namespace doesn't exist"),
        ("POST", "none/seal", {}, "namespace doesn't exist"),
        ("POST", "a/b/seal", {}, "namespace name cannot contain /"),
        ("POST", "a", {"seal": "x"}, "cannot modify existing namespace seal config"),
    ],
)
def test_nobody_believes_that_a_namespace_is_sealed(
    application: Application, method: str, path: str, body: object, words: str
) -> None:
    make(application, "a")
    assert error(ask(application, method, f"{NS}/{path}", body)) == (400, words)


def test_sl_39_what_unlocks_one_namespace_unlocks_no_other(application: Application) -> None:
    make(application, "a", "b", "a/inner")
    keys = {
        path: data(ask(application, "POST", f"{NS}/api-lock/lock/{path}"))["unlock_key"]
        for path in ("a/inner", "a", "b")
    }
    for path, key in (("a", keys["b"]), ("b", keys["a"]), ("a", keys["a/inner"])):
        refused = ask(application, "POST", f"{NS}/api-lock/unlock/{path}", {"unlock_key": key})
        assert error(refused) == (400, "incorrect unlock key")
    for path in ("a", "a/inner", "b"):
        done = ask(application, "POST", f"{NS}/api-lock/unlock/{path}", {"unlock_key": keys[path]})
        assert done.status == 204, path

# SPDX-License-Identifier: EUPL-1.2
"""Vaults that set themselves up by `initialize`; what the requests do is compared with OpenBao elsewhere."""

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from vault.audit.device import DeviceFailure, FileDevice
from vault.framework.call import ROOT
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.compose.app import Vault
from vault.server.config.files import load
from vault.server.failure import StartFailure
from vault.storage.memory import MemoryStorage
from vault.token.authenticator import core_reader

SECRET = "hunter2hunter2"
SEAL = 'seal "static" { current_key_id = "one" current_key = "file://%s/one.key" }\n'


def source(**fields: str) -> str:
    """A value that comes from elsewhere."""
    return "{ " + " ".join(f'{name} = "{value}"' for name, value in fields.items()) + " }"


def request(
    name: str = "kv", path: str = '"sys/mounts/first"', data: str = '{ type = "kv" }', more: str = ""
) -> str:
    return f'request "{name}" {{\n operation = "update"\n path = {path}\n data = {data}\n {more}\n}}\n'


class Scene:
    """A folder with a key, a storage that outlives the server, and what was logged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = MemoryStorage()
        self.log = io.StringIO()
        self.audit = folder / "audit.log"
        (folder / "one.key").write_bytes(bytes(range(32)))

    def config(self, *requests: str) -> str:
        file = self.folder / "server.hcl"
        file.write_text(
            'storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n'
            f'audit "file" "file" {{ options {{ file_path = "{self.audit}" }} }}\n'
            + SEAL % self.folder
            + (f'initialize "first" {{\n{"".join(requests)}}}\n' if requests else "")
        )
        return str(file)

    async def start(self, *requests: str) -> Vault:
        """Start a server as a process does; the caller stops it. Raises `StartFailure`."""
        clock = Clock()
        vault = Vault(
            load([self.config(*requests)], {}),
            self.storage,
            clock=clock,
            entropy=Entropy(),
            metrics=Metrics(clock),
            log=Log(stream=self.log, level="trace", clock=clock),
        )
        await vault.start()
        return vault

    async def refused(self, *requests: str) -> str:
        """Why a server does not start."""
        with pytest.raises(StartFailure) as caught:
            await self.start(*requests)
        assert SECRET not in str(caught.value) + self.log.getvalue()
        return str(caught.value)

    def refusal(self, *requests: str) -> str:
        """Why a configuration is not read."""
        with pytest.raises(StartFailure) as caught:
            load([self.config(*requests)], {})
        assert SECRET not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def play(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


async def accessors(vault: Vault) -> int:
    return len(await vault.credentials.tokens.accessors(core_reader(vault.ground.barrier, ROOT)))


def test_the_token_that_sets_up_is_gone_before_anybody_can_ask(scene: Scene) -> None:
    async def scenario() -> None:
        vault = await scene.start(request())
        assert vault.mounts.router.root.get("first/") is not None
        assert await accessors(vault) == 0
        await vault.stop()
        recorded = [json.loads(line) for line in scene.audit.read_text().splitlines()]
        paths = [line["request"]["path"] for line in recorded if line["type"] == "response"]
        assert paths == ["sys/mounts/first", "auth/token/revoke-self"]
        assert "s." not in scene.log.getvalue()

    play(scenario)


def test_a_vault_that_is_there_is_left_alone(scene: Scene) -> None:
    async def scenario() -> None:
        await (await scene.start(request())).stop()
        vault = await scene.start(request(path='"sys/mounts/second"'))
        assert vault.mounts.router.root.get("second/") is None
        assert not vault.ground.barrier.sealed
        await vault.stop()

    play(scenario)


def test_a_vault_that_was_not_set_up_to_the_end_is_never_served(scene: Scene) -> None:
    async def scenario() -> None:
        wrong = request("wrong", '"sys/mounts/second"', f'{{ type = "nope", description = "{SECRET}" }}')
        refusal = await scene.refused(request(), wrong, request("never", '"sys/mounts/third"'))
        assert f"{scene.folder}/server.hcl:" in refusal
        assert 'initialize "first" request "wrong"' in refusal
        assert "did not finish" in await scene.refused(request())
        assert scene.log.getvalue().count("vault is sealed") == 2
        recorded = scene.audit.read_text()
        assert "revoke-self" in recorded
        assert "sys/mounts/third" not in recorded

    play(scenario)


def test_what_may_be_refused_is_passed_over(scene: Scene) -> None:
    async def scenario() -> None:
        wrong = request("wrong", data='{ type = "nope" }', more="allow_failure = true")
        vault = await scene.start(wrong, request())
        assert vault.mounts.router.root.get("first/") is not None
        await vault.stop()

    play(scenario)


def test_what_cannot_be_recorded_is_not_passed_over(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    take = FileDevice.write

    def full(device: FileDevice, line: bytes, now: float) -> None:
        if b"sys/policies/acl" in line:
            raise DeviceFailure("the disk is full")
        take(device, line, now)

    monkeypatch.setattr(FileDevice, "write", full)
    look = 'request "look" {\n operation = "list"\n path = "sys/policies/acl"\n}\n'

    async def scenario() -> None:
        assert 'request "look": internal error' in await scene.refused(request(), look)

    play(scenario)


def test_values_come_from_the_environment_and_from_files(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "sys/mounts/elsewhere")
    (scene.folder / "kind").write_text("kv")

    async def scenario() -> None:
        kind = source(eval_type="string", eval_source="file", path=str(scene.folder / "kind"))
        where = source(eval_type="string", eval_source="env", env_var="WHERE")
        vault = await scene.start(request(path=where, data=f"{{ type = {kind} }}"))
        assert vault.mounts.router.root.get("elsewhere/") is not None
        await vault.stop()

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"eval_source": "file", "path": "/nope/nope"}, "/nope/nope cannot be read as text"),
        ({"eval_source": "env", "env_var": "SECRET_THING", "eval_type": "int"}, "gives is no int"),
        ({"eval_source": "env", "env_var": "SECRET_THING", "eval_type": "bool"}, "gives is no bool"),
        (
            {
                "eval_source": "response",
                "initialize_name": "x",
                "response_name": "y",
                "field_selector": "data",
            },
            "has no such field",
        ),
    ],
)
def test_a_value_that_is_not_there_or_no_such_value_is_named_and_not_shown(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], words: str
) -> None:
    monkeypatch.setenv("SECRET_THING", SECRET)

    async def scenario() -> None:
        value = source(**{"eval_type": "string", **fields})
        assert words in await scene.refused(request(data=f"{{ type = {value} }}"))

    play(scenario)


def test_a_variable_that_must_be_there_is_asked_for(scene: Scene) -> None:
    async def scenario() -> None:
        value = '{ eval_type = "string" eval_source = "env" env_var = "NOT_THERE" require_present = true }'
        refusal = await scene.refused(request(data=f"{{ type = {value} }}"))
        assert "environment variable NOT_THERE is not set" in refusal

    play(scenario)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (request(more='when = "false"'), "when: requests are never left out"),
        (request(more='namespace = "team"'), "namespace: begin path with the namespace"),
        (
            request(more='headers = { "X-A" = ["a"] }'),
            "headers: requests of the configuration have no headers",
        ),
        (request(path="5"), "path must be a string"),
        (request(data=f'"{SECRET}"'), "data must be a block"),
        (request(data=f'{{ a = "{SECRET}" a = "x" }}'), "data must be without a key that is there twice"),
        (request(data=f"{{ a = {source(eval_type='string', eval_source='cel')} }}"), "are not supported"),
        (
            request(data=f"{{ a = {source(eval_type='string')} }}"),
            "from an eval_source (env, file, response)",
        ),
        (request() + request(), "another request of this stanza has this name"),
        ('response "x" {}', "initialize holds nothing but `request` blocks"),
        ("\n", "initialize holds no request"),
    ],
)
def test_what_is_wrong_without_a_vault_is_found_without_one(scene: Scene, block: str, words: str) -> None:
    assert words in scene.refusal(block)


def test_requests_are_read_from_json_too(scene: Scene) -> None:
    file = Path(scene.config())
    inner = {
        "request": {"a": {"operation": "update", "path": "p", "data": {"x": {"y": {"z": [1, {"q": True}]}}}}}
    }
    listener = {"tcp": {"tls_disable": True}}
    seal = {"static": {"current_key_id": "one", "current_key": f"file://{scene.folder}/one.key"}}
    document = {"storage": {"inmem": {}}, "listener": listener, "seal": seal, "initialize": {"first": inner}}
    file.write_text(json.dumps(document))
    (made,) = load([str(file)], {}).initialize
    assert (made.stanza, made.name, made.data) == ("first", "a", {"x": {"y": {"z": [1, {"q": True}]}}})
    assert "first/a" in repr(made)
    assert "z" not in repr(made)


def test_people_with_shares_cannot_be_asked(scene: Scene) -> None:
    file = Path(scene.config(request()))
    file.write_text(file.read_text().replace(SEAL % scene.folder, ""))
    with pytest.raises(StartFailure, match="initialize needs a seal that opens by itself"):
        load([str(file)], {})

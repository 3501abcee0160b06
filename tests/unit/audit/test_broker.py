# SPDX-License-Identifier: EUPL-1.2
"""All devices together: nothing goes on that none of them recorded, and sealing leaves no value behind."""

import io
import json
import os
from pathlib import Path
from typing import Any, TextIO

import pytest

from hsm.errors import SlotUnavailable
from tests.calls import fill_call
from tests.clocks import MONTH
from tests.unit.engines.driver import FakeClock
from tests.unit.engines.system.house import CORE, House, play
from tests.unit.seal.auto import RECOVERY, Machine
from tests.unit.seal.soft import SoftSlot
from vault.audit.broker import Broker
from vault.audit.device import DeviceConfig, DeviceFailure
from vault.audit.salts import Salts
from vault.barrier.stored import raw
from vault.engines.system.operations.audit import AuditEngine
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.errors import Forbidden, Malformed, Unavailable, VaultError
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.secret import Secret
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.refusals import taken
from vault.seal.records.sealwrap import SealWrap
from vault.seal.records.slots import Slots
from vault.values.ids import ROOT_ID


def _config(file: Path, name: str = "file", **options: str) -> DeviceConfig:
    return DeviceConfig(path=f"{name}/", kind="file", options={"file_path": str(file), **options})


async def _house(*devices: DeviceConfig, stream: TextIO | None = None) -> House:
    """A vault with these devices; `stream` is where what it logs of them goes."""
    house = House(devices=devices, audit_log=stream)
    return await house.open(AuditEngine(house.audit, Pool(), allow_creation=True, allow_prefix=True))


def _records(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def _broken(broker: Broker, name: str = "file") -> None:
    """Let a device fail from now on, as on a disk that went away."""
    device = broker._devices[f"{name}/"]
    device.close()

    def refuse(line: bytes, now: float) -> None:
        raise DeviceFailure("the disk went away")

    device.write = refuse  # type: ignore[method-assign]  # a device whose target is gone


def _call(path: str = "sys/health") -> Call:
    call = Call()
    fill_call(call, id="the-id", path=path, operation=Operation.READ)
    call.client_address, call.client_port = "127.0.0.1", 4711
    call.token = Secret("s.hunter2")
    call.data = {"key": "hunter2"}
    return call


def test_every_device_records_with_a_key_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = [tmp_path / "one.log", tmp_path / "two.log"]
        house = await _house(*(_config(file, file.stem) for file in files))
        assert (await house("GET", "sys/audit")).status == 200
        one, two = (_records(file) for file in files)
        assert (
            [record["type"] for record in one]
            == [record["type"] for record in two]
            == ["request", "response"]
        )
        assert one[0]["auth"]["client_token"] != two[0]["auth"]["client_token"]
        assert one[0]["request"]["id"] == two[0]["request"]["id"]

    play(scenario)


def test_one_device_that_fails_is_logged_and_the_other_takes_the_record(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = [tmp_path / "one.log", tmp_path / "two.log"]
        stream = io.StringIO()
        house = await _house(*(_config(file, file.stem) for file in files), stream=stream)
        _broken(house.audit, "one")
        assert (await house("GET", "sys/audit")).status == 200
        assert (await house("GET", "sys/audit")).status == 200
        assert len(_records(files[1])) == 4
        assert stream.getvalue().count("did not take a record") == 1
        assert "taken again" not in stream.getvalue()
        assert (house.audit.failing, house.audit.blocked) == (1, False)

    play(scenario)


def test_that_records_are_taken_again_is_logged_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        stream = io.StringIO()
        house = await _house(_config(tmp_path / "audit.log"), stream=stream)
        device = house.audit._devices["file/"]
        write = device.write

        def refuse(line: bytes, now: float) -> None:
            raise DeviceFailure("the disk is full")

        device.write = refuse  # type: ignore[method-assign]  # a disk that is full for a while
        assert (await house("GET", "sys/audit")).status == 500
        assert (house.audit.blocked, "taken again" in stream.getvalue()) == (True, False)
        assert house.audit.failing == 1
        device.write = write  # type: ignore[method-assign]  # and has room again
        for _ in range(2):
            assert (await house("GET", "sys/audit")).status == 200
        assert (house.audit.blocked, stream.getvalue().count("records are taken again")) == (False, 1)
        assert house.audit.failing == 0

    play(scenario)


def test_when_no_device_takes_the_record_nothing_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "audit.log"
        house = await _house(_config(file))
        before = list(await house.storage.reader().scan(""))
        _broken(house.audit)
        answer = await house("POST", "sys/audit/other", {"type": "file", "options": {"file_path": "discard"}})
        assert (answer.status, answer.error) == (500, "internal error")
        assert list(await house.storage.reader().scan("")) == before

    play(scenario)


def test_sl_53_a_change_whose_answer_cannot_be_recorded_is_undone(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "audit.log"
        house = await _house(_config(file))
        device = house.audit._devices["file/"]
        write = device.write
        taken: list[bytes] = []

        def once(line: bytes, now: float) -> None:
            if taken:
                raise DeviceFailure("the disk is full")
            taken.append(line)
            write(line, now)

        device.write = once  # type: ignore[method-assign]  # a disk that is full after one line
        before = list(await house.storage.reader().scan(""))
        answer = await house("POST", "sys/audit/other", {"type": "file", "options": {"file_path": "discard"}})
        assert answer.status == 500
        assert list(await house.storage.reader().scan("")) == before

    play(scenario)


def test_without_any_device_requests_go_on() -> None:
    async def scenario() -> None:
        house = await _house()
        assert (await house("GET", "sys/audit")).status == 200

    play(scenario)


def _sealed(file: Path) -> Broker:
    return Broker(
        [_config(file)],
        House().salts,
        FakeClock(),
        Entropy(),
        Log(stream=io.StringIO()),
        Metrics(FakeClock()),
    )


def test_while_sealed_records_have_no_value_at_all(tmp_path: Path) -> None:
    broker = _sealed(tmp_path / "audit.log")
    broker.request(_call())
    broker.response(_call(), None, Forbidden("hunter2"))
    request, response = _records(tmp_path / "audit.log")
    assert (request["type"], response["type"], response["error"]) == ("request", "response", "Forbidden")
    assert request["request"] == {
        "id": "the-id",
        "operation": "read",
        "namespace": {"id": "root"},
        "path": "sys/health",
        "remote_address": "127.0.0.1",
        "remote_port": 4711,
    }
    assert b"hunter2" not in (tmp_path / "audit.log").read_bytes()


def test_while_sealed_too_nothing_goes_on_unrecorded(tmp_path: Path) -> None:
    broker = _sealed(tmp_path / "audit.log")
    _broken(broker)
    with pytest.raises(Unavailable):
        broker.request(_call())
    with pytest.raises(Unavailable):
        broker.response(_call(), None)


def test_sealing_forgets_the_keys_and_keeps_declared_devices_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(_config(tmp_path / "audit.log"))
        known = house.audit.hash("file/", "x")
        house.audit.forget()
        with pytest.raises(Malformed, match="unknown audit backend"):
            house.audit.hash("file/", "x")
        house.audit.request(_call())
        assert [config.path for config in house.audit.devices] == ["file/"]
        await house.audit.load(house.barrier.reader(ROOT_ID, CORE))
        assert house.audit.hash("file/", "x") == known

    play(scenario)


def test_sl_25_a_declared_device_without_its_salt_lets_nothing_be_loaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(_config(tmp_path / "audit.log"))
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.salts.delete(core, "file/")
        with pytest.raises(DeviceFailure, match='"file/" has no salt'):
            await house.audit.load(house.barrier.reader(ROOT_ID, CORE))

    play(scenario)


def test_files_are_opened_anew_after_a_rotation(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "audit.log"
        house = await _house(_config(file))
        await house("GET", "sys/audit")
        file.rename(tmp_path / "audit.log.1")
        await house.audit.reopen()
        await house("GET", "sys/audit")
        assert len(_records(file)) == len(_records(tmp_path / "audit.log.1")) == 2
        house.audit.close()

    play(scenario)


def test_a_file_that_cannot_be_opened_anew_keeps_no_other_from_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        one, two = tmp_path / "one.log", tmp_path / "two.log"
        house = await _house(_config(one, "one"), _config(two, "two"))
        await house("GET", "sys/audit")
        for file in (one, two):
            file.rename(f"{file}.1")
        one.mkdir()
        with pytest.raises(
            DeviceFailure,
            match=r'^audit device "one/": cannot open .*/one.log: it is a directory; name a file$',
        ):
            await house.audit.reopen()
        await house("GET", "sys/audit")
        assert len(_records(two)) == len(_records(tmp_path / "two.log.1")) == 2
        house.audit.close()

    play(scenario)


def test_a_header_is_recorded_until_it_no_longer_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(_config(tmp_path / "audit.log"))
        headers: list[dict[str, bool]] = []
        for hashed in (True, False, None, None):
            async with house.barrier.write(ROOT_ID, CORE) as core:
                await house.audit.audit_header(core, "x-seen", hashed=hashed)
            await house.follower.catch_up()
            headers.append(dict(house.audit.headers))
        assert headers == [{"x-seen": True}, {"x-seen": False}, {}, {}]

    play(scenario)


def test_a_header_that_carries_credentials_is_hashed_even_where_an_earlier_release_took_it_in_clear(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        house = await _house(_config(tmp_path / "audit.log"))
        name = "x-vault-inline-auth-parameter-password"
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.audit.audit_header(core, name, hashed=False)
        await house.follower.catch_up()
        assert dict(house.audit.headers) == {name: True}

    play(scenario)


def test_salts_are_wrapped_for_the_seals_slots_and_a_slot_that_is_away_opens_the_vault_all_the_same(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        slot = SoftSlot("a")
        machine = Machine(Slots(enabled=[slot]), os.urandom)
        await machine.init(RECOVERY)
        await machine.life.auto_unseal()
        core = machine.barrier.reader(ROOT_ID, CORE)

        async def opened() -> Broker:
            wraps = SealWrap(
                machine.storage, machine.barrier, Slots(enabled=[slot]), now=lambda: 0, random=os.urandom
            )
            stream = io.StringIO()
            config = _config(tmp_path / "audit.log")
            broker = Broker([config], Salts(wraps), FakeClock(), Entropy(), Log(stream=stream))
            await broker.prepare(core, lambda: machine.barrier.write(ROOT_ID, CORE))
            await broker.load(core)
            assert ("no slot opens a salt" in stream.getvalue()) is (slot.away is not None)
            return broker

        hashed = (await opened()).hash("file/", "x")
        assert (await opened()).hash("file/", "x") == hashed
        stored = await core.get("sealwrap/audit/salt/file/")
        assert stored is not None and b'"slots":{"a"' in stored
        slot.away = SlotUnavailable("unplugged")
        assert (await opened()).hash("file/", "x") not in {hashed, "x"}
        slot.away = None
        assert (await opened()).hash("file/", "x") == hashed

    play(scenario)


def test_a_salt_from_before_is_wrapped_and_stays_the_same(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(_config(tmp_path / "audit.log"))
        core = house.barrier.reader(ROOT_ID, CORE)
        async with house.barrier.write(ROOT_ID, CORE) as tx:
            await house.salts.delete(tx, "file/")
            await tx.put("audit/salt/file/", raw(b"from-before"))
        await house.audit.prepare(core, lambda: house.barrier.write(ROOT_ID, CORE))
        assert await core.get("audit/salt/file/") is None
        assert await house.salts.get(core, "file/") == b"from-before"

    play(scenario)


def test_what_waits_to_be_written_goes_to_the_devices_that_it_was_recorded_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(_config(tmp_path / "audit.log"))
        other = {"type": "file", "options": {"file_path": str(tmp_path / "other.log")}}
        assert (await house("POST", "sys/audit/other", other)).status == 204
        assert (await house("GET", "sys/audit")).status == 200  # since when both are known to write at once
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.audit.disable(core, "other")
        call, told = _call(), list[VaultError | None]()
        house.audit.request(call, hold=True)
        house.audit.exchange(call, Reply(data={}))
        assert call.record.batch is not None
        call.record.batch.then(told.append)
        await house.follower.catch_up()
        assert [config.path for config in house.audit.devices] == ["file/"]
        assert told == [None]
        for name in ("audit.log", "other.log"):
            assert [record["request"]["id"] for record in _records(tmp_path / name)[-2:]] == ["the-id"] * 2

    play(scenario)


@pytest.mark.parametrize(
    ("body", "reply", "waits"),
    [
        (b'{"a":"x"}', Reply(data={}), True),
        (b'{"a":"%b"}' % (b"x" * 9000), Reply(data={}), False),
        (b'{"a":[%b1]}' % (b"1," * 60), Reply(data={}), False),
        (b'{"a":"x"}', Reply(raw=b"x" * 9000), False),
    ],
)
def test_only_what_is_short_is_recorded_with_others_before_their_commit(
    tmp_path: Path,
    body: bytes,
    reply: Reply[object],
    waits: bool,
) -> None:
    async def scenario() -> None:
        house = await _house(_config(tmp_path / "file.log"))
        assert (await house("GET", "sys/audit")).status == 200  # since when it is known to write at once
        before, call = len(_records(tmp_path / "file.log")), _call()
        call.body, call.data = body, json.loads(body)
        house.audit.request(call, hold=True)
        async with house.barrier.write(ROOT_ID, CORE) as core:
            call.core = core
            assert house.audit.before_commit(call, reply) is None
            assert len(_records(tmp_path / "file.log")) == before + (0 if waits else 2)
        assert len(_records(tmp_path / "file.log")) == before + 2

    play(scenario)


@pytest.mark.parametrize("jump", [MONTH, -MONTH])
def test_a_file_that_was_removed_is_noticed_whatever_the_wall_clock_is_set_to(
    tmp_path: Path, jump: int
) -> None:
    async def scenario() -> None:
        file = tmp_path / "audit.log"
        house = await _house(_config(file))
        assert (await house("GET", "sys/audit")).status == 200
        file.unlink()
        house.clock.set_wall(jump)
        house.clock.sleep(1.1)
        assert (await house("GET", "sys/audit")).status == 200
        assert len(_records(file)) == 2

    play(scenario)


@pytest.mark.parametrize("jump", [MONTH, -MONTH])
def test_a_device_that_fails_is_told_again_whatever_the_wall_clock_is_set_to(
    tmp_path: Path, jump: int
) -> None:
    async def scenario() -> None:
        stream = io.StringIO()
        devices = (_config(tmp_path / "one.log", "one"), _config(tmp_path / "two.log", "two"))
        house = await _house(*devices, stream=stream)
        _broken(house.audit, "one")
        assert (await house("GET", "sys/audit")).status == 200
        house.clock.set_wall(jump)
        house.clock.sleep(1.1)
        assert (await house("GET", "sys/audit")).status == 200
        assert stream.getvalue().count("did not take a record") == 2

    play(scenario)


@pytest.mark.parametrize("declared", [True, False], ids=["beside another", "alone"])
def test_an_enabled_device_that_cannot_be_opened_here_fails_until_it_can(
    tmp_path: Path, *, declared: bool
) -> None:
    async def scenario() -> None:
        others = [_config(tmp_path / "one.log", "one")] if declared else []
        house, file = await _house(*others), tmp_path / "two.log"
        made = await house("POST", "sys/audit/two", {"type": "file", "options": {"file_path": str(file)}})
        assert made.status == 204
        await house.follower.catch_up()
        core, stream = house.barrier.reader(ROOT_ID, CORE), io.StringIO()
        file.unlink()
        file.mkdir()  # what another process finds in its place
        other = Broker(others, house.salts, house.clock, Entropy(), Log(stream=stream))
        await other.load(core)
        assert (other.failing, other.hash("two", "x")) == (1, house.audit.hash("two", "x"))
        assert (
            "an enabled device cannot be opened here" in stream.getvalue()
            and "it is a directory" in stream.getvalue()
        )
        for _ in range(2):
            if declared:
                await taken(other.request(_call()))
            else:
                with pytest.raises(Unavailable):
                    await taken(other.request(_call()))
            await other.load(core)  # as after any change
        assert (other.failing, other.blocked) == (1, not declared)
        with pytest.raises(DeviceFailure, match="it is a directory"):
            await other.reopen()
        file.rmdir()
        house.clock.sleep(2)
        await taken(other.request(_call()))
        await other.reopen()  # behind the record
        assert (other.failing, other.blocked) == (0, False)
        assert [record["type"] for record in _records(file)] == ["request"]
        other.close()

    play(scenario)


@pytest.mark.parametrize("kind", ["directory", "kind"])
def test_a_declared_device_that_cannot_be_opened_stops_the_start(tmp_path: Path, kind: str) -> None:
    config = DeviceConfig(
        path="x/", kind="file" if kind == "directory" else "udp", options={"file_path": str(tmp_path)}
    )
    with pytest.raises(
        DeviceFailure, match="it is a directory" if kind == "directory" else "unknown backend"
    ):
        Broker([config], House().salts, FakeClock(), Entropy(), Log(stream=io.StringIO()))

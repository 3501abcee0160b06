# SPDX-License-Identifier: EUPL-1.2
"""The log's two forms, its levels, and what it keeps to itself."""

import io
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from vault.barrier.failure import BarrierFailure
from vault.framework.clock import Clock
from vault.framework.telemetry.log import Log, places
from vault.server.config.settings import Config, StorageSettings
from vault.server.process.logs import open_log, reopen
from vault.storage.protocol import StorageFailure
from vault.values.times import Nanos


class Noon(Clock):
    """2026-11-24, twelve o'clock and 123456789 nanoseconds."""

    def nanos(self) -> Nanos:
        return Nanos(1_795_521_600_123_456_789)


def written(form: str = "standard", level: str = "info") -> tuple[Log, io.StringIO]:
    stream = io.StringIO()
    return Log(level=level, form=form, clock=Noon(), stream=stream), stream


def failing(text: str) -> ValueError:
    def fail() -> NoReturn:
        raise KeyError(text)

    try:
        try:
            fail()
        except KeyError as error:
            raise ValueError(text) from error
    except ValueError as caught:
        return caught


def test_the_standard_form_is_openbaos() -> None:
    log, stream = written()
    log.note("core", "vault is unsealed")
    log.caution("core.raft", "slow", seconds=1.5, file="/a b", tls=True, count=3, reason="")
    log.failure("storage", "failed", error='say "x"')
    assert stream.getvalue().splitlines() == [
        "2026-11-24T12:00:00.123Z [INFO]  core: vault is unsealed",
        '2026-11-24T12:00:00.123Z [WARN]  core.raft: slow: seconds=1.5 file="/a b" tls=true count=3 reason=""',
        '2026-11-24T12:00:00.123Z [ERROR] storage: failed: error="say \\"x\\""',
    ]


def test_the_json_form_is_openbaos() -> None:
    log, stream = written("json")
    log.note("core", "ready", count=3)
    assert json.loads(stream.getvalue()) == {
        "@level": "info",
        "@message": "ready",
        "@module": "core",
        "@timestamp": "2026-11-24T12:00:00.123456Z",
        "count": 3,
    }


@pytest.mark.parametrize("form", ["standard", "json"])
def test_a_field_that_is_not_allowed_is_withheld(form: str) -> None:
    log, stream = written(form)
    log.note("core", "login", token="hunter2", path="secret/data/hunter2")
    assert "hunter2" not in stream.getvalue()
    assert "(withheld)" in stream.getvalue()


@pytest.mark.parametrize("form", ["standard", "json"])
def test_a_value_cannot_break_out_of_its_line(form: str) -> None:
    log, stream = written(form)
    log.note("core", "x", file="a\n2026-11-24T12:00:00.123Z [ERROR] core: forged\x1b[31m", reason="y" * 5000)
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue()) < 1000


def test_levels_can_change_while_running() -> None:
    log, stream = written(level="warn")
    log.note("core", "no")
    assert not log.enabled("info")
    log.set_level("debug")
    log.detail("core", "yes")
    log.event("trace", "core", "no")
    assert stream.getvalue().splitlines() == ["2026-11-24T12:00:00.123Z [DEBUG] core: yes"]


def test_an_unknown_exception_is_shown_by_type_and_place_only() -> None:
    log, stream = written()
    log.crash("core", "a request met a defect", failing("hunter2"))
    line = stream.getvalue()
    assert "exception=ValueError" in line
    assert "test_log.py:" in line
    assert "caused by KeyError at test_log.py:" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("kind", [StorageFailure, BarrierFailure])
def test_what_storage_and_barrier_say_is_shown(kind: type[Exception]) -> None:
    log, stream = written()
    log.crash("core", "it failed", kind("storage /x.db: the disk is full; free some space"), request_id="1")
    assert (
        'core: it failed: reason="storage /x.db: the disk is full; free some space" '
        f'exception={kind.__name__} at="an unknown place" request_id=1' in stream.getvalue()
    )


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert places(ValueError("x")) == "an unknown place"


def test_a_stream_that_cannot_be_written_drops_the_event_and_counts_it() -> None:
    log, stream = written()
    stream.close()
    log.note("core", "lost")
    assert log.dropped == 1


@pytest.fixture
def _untouched_logging() -> object:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions, logging.getLogger("uvicorn.error").level)

    yield None
    root.handlers, root.level, logging.raiseExceptions = before[0], before[1], before[2]
    logging.getLogger("uvicorn.error").setLevel(before[3])


@pytest.mark.usefixtures("_untouched_logging")
def test_what_libraries_log_is_shown_without_their_words(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("log") / "server.log"
    config = Config(listeners=(), storage=StorageSettings(kind="inmem"), log_file=str(file))
    log = open_log(config, Noon())
    logging.getLogger("asyncio").error("task %s failed", "hunter2", exc_info=failing("hunter2"))
    logging.getLogger("somebody").warning("hunter2")
    logging.getLogger("uvicorn.error").warning("hunter2")
    file.rename(file.with_suffix(".1"))
    reopen(log, config)
    logging.getLogger("somebody").info("hunter2")
    log.note("core", "after")
    log.stream.close()
    before = file.with_suffix(".1").read_text().splitlines()
    assert [
        "library=asyncio exception=ValueError" in before[0],
        "library=somebody exception=none" in before[1],
    ] == [True, True]
    assert len(before) == 2
    assert "hunter2" not in "".join(before)
    assert file.read_text() == "2026-11-24T12:00:00.123Z [INFO]  core: after\n"


def test_a_full_disk_of_the_log_keeps_nobody_from_opening_it_anew(tmp_path: Path) -> None:
    config = Config(
        listeners=(), storage=StorageSettings(kind="inmem"), log_file=str(tmp_path / "log"), log_level="debug"
    )
    with suppress(OSError), open("/dev/full", "a", encoding="utf-8") as full:
        log = Log(clock=Noon(), stream=full)
        log.note("core", "lost")
        reopen(log, config)
    assert log.level("core") == "debug"
    log.stream.close()

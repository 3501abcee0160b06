# SPDX-License-Identifier: EUPL-1.2
"""`sys/loggers`: the level of the log, as a whole and for each module."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final

from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, read, write
from vault.framework.telemetry.log import LEVELS, MODULES, Log

_OTHER_WORDS: Final = {"notice": "info", "warning": "warn", "err": "error"}


class LevelParams(Params, frozen=True):
    """From which level on events are logged."""

    level: Annotated[str | None, Doc("trace, debug, info, warn or error.", clear=True)] = None


class LoggerPath(Params, frozen=True):
    """Which part of the log."""

    name: Annotated[str, Doc("Module of the log: audit, background, core, expiration, seal or server.")]


class LoggerParams(LevelParams, frozen=True, kw_only=True):
    """From which level on events of one part are logged."""

    name: Annotated[str, Doc("Module of the log: audit, background, core, expiration, seal or server.")]


class LoggerEngine(Engine):
    """Levels of the log, until the next start or SIGHUP."""

    def __init__(self, log: Log, configured: str, share: Callable[[], Awaitable[None]]) -> None:
        """`configured` is the level that the configuration names; `share` has the server's other workers log so too."""
        self._log = log
        self._configured = configured
        self._share = share

    @read("loggers", event="config.logger.list")
    async def read_loggers(self, call: Call) -> Reply[Mapping[str, str]]:
        """Show the level of every part of the log."""
        del call
        return Reply({module: self._log.level(module) for module in MODULES})

    @write("loggers", writes=False, event="config.logger.write")
    async def write_loggers(self, call: Call, params: LevelParams) -> None:
        """Set the level of the whole log."""
        del call
        self._log.set_level(_level(params.level))
        await self._share()

    @delete("loggers", writes=False, event="config.logger.delete")
    async def reset_loggers(self, call: Call) -> None:
        """Return to the level that the configuration names."""
        del call
        self._log.set_level(self._configured)
        await self._share()

    @read("loggers/{name}", event="config.logger.read")
    async def read_logger(self, call: Call, params: LoggerPath) -> Reply[Mapping[str, str]]:
        """Show the level of one part of the log; nothing where there is no such part."""
        del call
        known = params.name in MODULES
        return Reply({params.name: self._log.level(params.name)} if known else {})

    @write("loggers/{name}", writes=False, event="config.logger.write")
    async def write_logger(self, call: Call, params: LoggerParams) -> None:
        """Set the level of one part of the log."""
        del call
        level = _level(params.level)
        self._log.set_level(level, _module(params.name))
        await self._share()

    @delete("loggers/{name}", writes=False, event="config.logger.delete")
    async def reset_logger(self, call: Call, params: LoggerPath) -> None:
        """Return one part of the log to the level that the configuration names."""
        del call
        self._log.set_level(self._configured, _module(params.name))
        await self._share()


def _level(given: str | None) -> str:
    """Return the name of a level. Raises `Malformed`."""
    if given is None:
        raise Malformed("level is required")
    if not given:
        raise Malformed("level is empty")
    word = given.strip().lower()
    level = _OTHER_WORDS.get(word, word)
    if level not in LEVELS:
        raise Malformed(f"invalid level provided: unknown log level: it is one of {', '.join(LEVELS)}")
    return level


def _module(name: str) -> str:
    """Return the name of a part of the log. Raises `Malformed`."""
    if name not in MODULES:
        raise Malformed(f'logger "{quote(name)}" not found')
    return name

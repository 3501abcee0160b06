# SPDX-License-Identifier: EUPL-1.2
"""The real process, and another that bound its address at the same instant: what `test_server_refusals` starts."""

import contextlib
import os
import socket
import sys
from typing import Any

from tests.integration.stub_server import Stub
from tests.integration.stub_server import build as stub
from vault.server.__main__ import run
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.http.sockets import bind

KEPT: list[socket.socket] = []
"""The other one's socket, for as long as the process lives."""


async def build(config: Config, *parts: Any, **more: Any) -> Stub:
    """Let the other one try to listen, now that the process id is written."""
    with contextlib.suppress(StartFailure):
        rival = bind(config.listeners[0])
        KEPT.append(rival)
        rival.listen()
    return await stub(config, *parts, **more)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], os.environ, build))

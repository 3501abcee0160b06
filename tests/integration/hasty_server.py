# SPDX-License-Identifier: EUPL-1.2
"""The server, as `vault.server`, with a supervisor that soon ends workers which do not answer: tests cannot wait as long."""

import functools
import sys

from vault.server.__main__ import main
from vault.server.workers import start
from vault.server.workers.supervisor import Supervisor

BEAT_SECONDS = 0.2

if __name__ == "__main__":
    vars(start)["Supervisor"] = functools.partial(Supervisor, beat=BEAT_SECONDS)
    sys.exit(main())

# SPDX-License-Identifier: EUPL-1.2
"""Makes a backup as a server has it made, and is ended as by `kill -9` at a moment: `python -m tests.integration.cut_upload MOMENT`."""

import os
import signal
import sys
from typing import Any

from botocore.endpoint import Endpoint

from vault.server.offline import backups, scheduled
from vault.server.snapshots import bucket


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(moment: str) -> None:
    """End at an SQL statement that begins so, or at the second request that is called so, or the first there is."""
    bucket.PART = 5 << 20  # type: ignore[misc]  # more parts
    asked: list[str] = []
    ask = Endpoint.make_request

    def cut(self: Any, operation: Any, given: Any) -> Any:
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation.name)[1:]
        asked.append(name)
        if name == moment and (name != "upload_part" or asked.count(name) == 2):
            _end()
        return ask(self, operation, given)

    Endpoint.make_request = cut
    if moment.isupper():
        original = backups.save

        def save(*given: Any, **named: Any) -> Any:
            named["progress"] = lambda _what, hundredths: _end() if hundredths else None
            return original(*given, **named)

        backups.save = save
    scheduled.main()


if __name__ == "__main__":
    main(sys.argv[1])

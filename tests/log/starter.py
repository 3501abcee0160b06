# SPDX-License-Identifier: EUPL-1.2
"""Opens the logs of folders, each at a given moment, as one of several workers of a server does when it starts.

`python -m tests.log.starter` reads lines of a time, in seconds since the epoch, and a folder; it answers each with the id
of the log that it has opened, and lets go of that with the next line.
"""

import sys
import time
from pathlib import Path

from tests.unit.log.folders import opened


def main() -> None:
    """Open a log for each line."""
    for line in sys.stdin:
        moment, _, folder = line.rstrip("\n").partition(" ")
        while time.time() < float(moment):
            pass  # sleeping ends too late, and all are to begin at once
        log = opened(Path(folder))
        sys.stdout.write(f"{log.id}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        log.writer.close()


if __name__ == "__main__":
    main()

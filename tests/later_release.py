# SPDX-License-Identifier: EUPL-1.2
"""A later release: as this one, with another number and one more kind of record.

`python -m tests.later_release -config FILE` is its server, and `python -m tests.later_release vaultctl …` its command.
"""

import runpy
import sys

import vault
from vault.barrier.stored import RecordKind

VERSION = "99.0.0"
KIND = "of later"


def main() -> None:
    """Run the program."""
    vault.__version__ = VERSION
    RecordKind(KIND, dict[str, str])
    command = sys.argv[1:2] == ["vaultctl"]
    if command:
        del sys.argv[1]
    runpy.run_module("vaultctl" if command else "vault.server", run_name="__main__")


if __name__ == "__main__":
    main()

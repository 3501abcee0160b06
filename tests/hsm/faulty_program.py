# SPDX-License-Identifier: EUPL-1.2
"""A program of ours as it is, over a module whose functions obey a plan of faults.

Run as `python -m tests.hsm.faulty_program FOLDER LIBRARY PROGRAM [its own arguments]`.
"""

import runpy
import sys
from pathlib import Path

from tests.hsm.faults import FaultPlan, install


def main() -> None:
    """Spoil the module, then be the program."""
    folder, library, program, *rest = sys.argv[1:]
    install(Path(library), FaultPlan(Path(folder)))
    sys.argv = [program, *rest]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

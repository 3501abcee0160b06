# SPDX-License-Identifier: EUPL-1.2
"""A program of ours as it is, over a module whose functions obey a plan of faults; an agent hashes PINs faster.

Run as `python -m tests.hsm.faulty_program FOLDER LIBRARY PROGRAM [its own arguments]`.
"""

import os
import runpy
import sys
from pathlib import Path

from hsm.agent.service import main as agent
from hsm.client.launch import PROGRAM
from tests.hsm.faults import FaultPlan, install
from tests.hsm.tokens import COST


def main() -> None:
    """Spoil the module, then be the program."""
    folder, library, program, *rest = sys.argv[1:]
    install(Path(library), FaultPlan(Path(folder)))
    if program == PROGRAM[-1]:
        agent(rest, entropy=os.urandom, cost=COST)
        return
    sys.argv = [program, *rest]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

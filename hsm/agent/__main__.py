# SPDX-License-Identifier: EUPL-1.2
"""`python -m hsm.agent CHANNEL PIN` is the agent process."""

from __future__ import annotations

import os
import sys

from hsm.agent.service import main

if __name__ == "__main__":
    main(sys.argv[1:], entropy=os.urandom)

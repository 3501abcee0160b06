# SPDX-License-Identifier: EUPL-1.2
"""An agent as it is, but for the hash of its PIN: nobody is to be kept from guessing that.

Run as `python -m tests.hsm.quick_agent CHANNEL PIN`. Not for several at once on one token of SoftHSM: while one logs in,
which writes the token's file anew, others must have found the token. The slow hash gives them the time.
"""

import os
import sys

from hsm.agent.service import main
from tests.hsm.tokens import COST

if __name__ == "__main__":
    main(sys.argv[1:], entropy=os.urandom, cost=COST)

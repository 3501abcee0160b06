# SPDX-License-Identifier: EUPL-1.2
"""`python -m vaultctl` is the same as the `vaultctl` command."""

from __future__ import annotations

import sys

from vaultctl.main import main

if __name__ == "__main__":
    sys.exit(main())

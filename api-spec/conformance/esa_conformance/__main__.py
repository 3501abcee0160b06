# SPDX-License-Identifier: Apache-2.0
"""`python -m esa_conformance`, and what the zip file runs."""

from __future__ import annotations

import sys

from esa_conformance.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

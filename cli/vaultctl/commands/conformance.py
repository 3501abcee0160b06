# SPDX-License-Identifier: EUPL-1.2
"""conformance: hands over to the suite, which knows nothing of our server or of this command line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str]) -> int:
    """Judge a server with `argv` as it is; the exit code is the suite's."""
    from esa_conformance.cli import main

    return main(argv, program="vaultctl conformance")

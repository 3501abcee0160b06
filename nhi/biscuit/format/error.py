# SPDX-License-Identifier: EUPL-1.2
"""What is wrong with a token."""

from __future__ import annotations


class BiscuitError(Exception):
    """This is no token that we issue or take; the message names the part, never its content."""

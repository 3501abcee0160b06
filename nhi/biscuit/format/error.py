# SPDX-License-Identifier: EUPL-1.2
"""What is wrong with a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nhi.biscuit.format.datalog import Block


class BiscuitError(Exception):
    """This is no token that we make or take; the message names the part, never its content."""


class RefusedBlock(BiscuitError):
    """The signatures hold, and a block is not taken: whoever had the token made it. `blocks` are all, where all can be read."""

    def __init__(self, message: str, blocks: tuple[Block, ...]) -> None:
        super().__init__(message)
        self.blocks = blocks

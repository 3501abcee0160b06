# SPDX-License-Identifier: EUPL-1.2
"""Why a receiver did not take records: fixed words, with nothing of what was sent or came back."""

from __future__ import annotations


class SendFailure(Exception):
    """A batch was not sent, or nobody knows whether it was. The text says why."""

    def __init__(self, why: str, *, lasting: bool = False, wait: float = 0.0) -> None:
        """With `lasting` only a person mends it. `wait` are the seconds for which the receiver wants to be left alone."""
        super().__init__(why)
        self.lasting = lasting
        self.wait = wait


class ConnectionLost(SendFailure):
    """A connection ended that stood: what was sent by it and not confirmed is sent again."""


class BatchTooLarge(SendFailure):
    """The receiver takes smaller batches."""

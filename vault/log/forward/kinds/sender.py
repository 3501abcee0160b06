# SPDX-License-Identifier: EUPL-1.2
"""What every kind of device can do, as the thread of a device needs it."""

from __future__ import annotations

from typing import Protocol

from vault.log.forward.batch import Batch
from vault.log.forward.transport.stream import Deadline


class Sender(Protocol):
    """Sends batches to one receiver."""

    @property
    def settles(self) -> float:
        """Seconds for which a connection has to stand until what was sent by it counts as accepted.

        It is 0 where the receiver answers: then it has accepted when `send` returns.
        """
        ...

    @property
    def refused(self) -> int:
        """Records that the receiver said that it will not have."""
        ...

    def send(self, batch: Batch, deadline: Deadline) -> None:
        """Send records. Raises `SendFailure`; then none, some or all have arrived."""
        ...

    def check(self) -> None:
        """Make sure that the connection stands, if there is one. Raises `ConnectionLost`."""
        ...

    def finish(self, deadline: Deadline) -> bool:
        """End the connection, and return whether the receiver has all that was sent by it."""
        ...

    def abort(self) -> None:
        """Wake whoever is in `send`; called from another thread. Nothing is sent afterwards."""
        ...

    def close(self) -> None:
        """Release the connection; the next `send` makes another one."""
        ...

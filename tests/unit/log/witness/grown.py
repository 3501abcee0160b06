# SPDX-License-Identifier: EUPL-1.2
"""Logs that grow, without records: their leaves, checkpoints at any size, and what a witness is handed of them."""

from collections.abc import Sequence

from tests.unit.log.format.signing import ed25519
from tests.unit.log.format.trees import LEAVES, growth, root
from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.note import Signer
from vault.log.format.tree import leaf_hash
from vault.log.witness.submission import Submission

SERVER = "vault.example.eu/log"
ORIGIN = f"{SERVER}/0123abcd-0-1"
OTHERS = [*LEAVES[:8], *(leaf_hash(b"another record %d" % number) for number in range(8, 40))]
"""The leaves of a log that was as `LEAVES` for eight records, and then another one."""


class GrownLog:
    """One log. `leaves` are all that it will have."""

    def __init__(
        self, leaves: Sequence[bytes] = LEAVES[:40], *, origin: str = ORIGIN, number: int = 1
    ) -> None:
        self.origin, self.leaves = origin, leaves
        self.signers: list[Signer] = [ed25519(origin, number)]

    def checkpoint(self, size: int) -> Checkpoint:
        """What the log says of itself at this size."""
        return Checkpoint(origin=self.origin, size=size, root=root(self.leaves[:size]))

    def note(self, size: int) -> bytes:
        """The same, signed."""
        return sign_checkpoint(self.checkpoint(size), self.signers)

    def submission(self, old: int, size: int) -> Submission:
        """What a witness is handed that has seen `old` records."""
        proof = growth(old, self.leaves[:size]) if 0 < old < size else []
        return Submission(old=old, proof=tuple(proof), note=self.note(size))

    def body(self, old: int, size: int) -> bytes:
        """The same, as it is sent."""
        return self.submission(old, size).format()

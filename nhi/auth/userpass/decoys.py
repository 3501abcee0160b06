# SPDX-License-Identifier: EUPL-1.2
"""What a secret is compared with where the name has none, so that the time does not tell which names have one (SL-22)."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from nhi.auth.userpass.passwords import is_bcrypt
from nhi.records import Record
from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.clock import Entropy

_MOST_KINDS: Final = 8


class Decoys(msgspec.Struct, frozen=True):
    """The kinds of hashes that a mount has kept, each as the hash of a secret that no user has; `salt` never leaves the mount."""

    salt: bytes
    hashes: tuple[str, ...] = ()

    def with_kind(self, kept: str) -> Decoys:
        """Return them with the kind of a hash too: the algorithm and all that says how long it takes."""
        decoy = _decoy(kept)
        if decoy in self.hashes:
            return self
        return Decoys(self.salt, (*self.hashes, decoy)[-_MOST_KINDS:])

    def of(self, name: str) -> str:
        """Return what the secret of a name that has no such hash is compared with: always the same; empty for nothing."""
        if not self.hashes:
            return ""
        place = int.from_bytes(sha256(self.salt + name.encode(errors="surrogatepass")).digest()[:8], "big")
        return self.hashes[place % len(self.hashes)]


_DECOYS: Final = Record("decoys", RecordKind("userpass decoys", Decoys))


async def known(view: ReadView) -> Decoys | None:
    """Return the decoys of a mount; None where no hash was ever kept."""
    return await _DECOYS.find(view)


async def learn(view: View, kept: str, entropy: Entropy) -> None:
    """Keep that a mount has a hash of this kind."""
    old = await known(view) or Decoys(entropy.bytes(16))
    new = old.with_kind(kept)
    if new is not old:
        await _DECOYS.keep(view, new)


def _decoy(kept: str) -> str:
    """Return a hash that takes as long as this one, which is well formed, and whose secret is not known."""
    if kept.startswith("sha256:"):
        return "sha256:" + "0" * 64
    if is_bcrypt(kept):
        return kept[:7] + "." * 53
    *rules, salt, digest = kept.split("$")
    return "$".join([*rules, "A" * len(salt), "A" * len(digest)])

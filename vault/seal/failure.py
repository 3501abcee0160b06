# SPDX-License-Identifier: EUPL-1.2
"""Why a seal operation did not happen. Texts never hold a share, a key or any other input."""

from __future__ import annotations


class SealRefusal(Exception):
    """The request cannot be done; the text is OpenBao's, and safe to show to anyone."""


class SealFailure(Exception):
    """What is stored for the seal is damaged or contradictory: nothing was changed, an operator must look."""

    @property
    def gist(self) -> str:
        """What distinguishes it from a failure that was logged before, without what is worded anew each time."""
        return str(self)


class RootKeyReplaced(SealFailure):
    """Another process replaced the root key or the whole vault, and nothing leads from the key in memory to that one."""

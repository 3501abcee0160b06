# SPDX-License-Identifier: EUPL-1.2
"""What the cubbyhole takes and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from vault.framework.fields import Doc
from vault.framework.route import Params


class EntryPath(Params, frozen=True):
    """Which entry of the caller's own."""

    path: Annotated[str, Doc("Where the entry is, in the caller's cubbyhole.")]


class Keys(msgspec.Struct, frozen=True):
    """Names below a path; a folder ends in `/`."""

    keys: Sequence[str]

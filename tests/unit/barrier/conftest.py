# SPDX-License-Identifier: EUPL-1.2
"""Kinds of stored records that a test declares end with it."""

from collections.abc import Iterator

import pytest

from vault.barrier.stored import KINDS


@pytest.fixture(autouse=True)
def own_kinds() -> Iterator[None]:
    """Take back what a test declares."""
    before = dict(KINDS)
    yield
    KINDS.clear()
    KINDS.update(before)

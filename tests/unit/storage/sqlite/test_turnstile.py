# SPDX-License-Identifier: EUPL-1.2
"""Processes stand in line; here each is a handle of its own."""

from pathlib import Path

import pytest

from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.turnstile import Turnstile


def test_nobody_enters_while_another_is_inside(tmp_path: Path) -> None:
    first, second = Turnstile(tmp_path / "s.db"), Turnstile(tmp_path / "s.db")
    assert first.enter_now()
    assert first.enter_now()
    assert not second.enter_now()
    first.leave()
    assert second.enter_now()
    assert not first.enter_now()
    second.close()
    first.enter(30)
    first.close()


def test_a_place_that_cannot_hold_the_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match=r"none/s\.db-turn: it cannot be opened"):
        Turnstile(tmp_path / "none" / "s.db")

# SPDX-License-Identifier: EUPL-1.2
"""The storages that the suite runs on, and a database and a backup."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.postgres import Cluster
from tests.storage.copies import make
from tests.storage.copying import backed_up
from tests.storage.stores import MEMORIES, Store


@pytest.fixture(params=[*MEMORIES, "sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: Callable[[], Cluster]
) -> Generator[Store]:
    """Return each kind of storage in turn."""
    store = Store(request.param, tmp_path, postgres)
    yield store
    store.tidy()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database that holds `old`."""
    make(tmp_path / "vault.db", "old")
    return tmp_path / "vault.db"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Return a backup of another database, which holds `new`."""
    (tmp_path / "elsewhere").mkdir()
    make(tmp_path / "elsewhere" / "vault.db", "new")
    backed_up(tmp_path / "elsewhere" / "vault.db", tmp_path / "new.backup")
    return tmp_path / "new.backup"

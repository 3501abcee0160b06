# SPDX-License-Identifier: EUPL-1.2
"""The storages that the suite runs on."""

from pathlib import Path

import pytest

from tests.storage.stores import Store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return each kind of storage in turn."""
    return Store(request.param, tmp_path)

# SPDX-License-Identifier: EUPL-1.2
"""A log that is written here, and what reads it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.log.reader.reading import Reading
from tests.unit.log.reader.written import WrittenLog


@pytest.fixture
def written(tmp_path: Path) -> WrittenLog:
    """A log without records."""
    return WrittenLog(tmp_path)


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    """What reads it, and has read nothing yet."""
    opened = Reading(tmp_path)
    yield opened
    opened.close()

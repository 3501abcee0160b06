# SPDX-License-Identifier: EUPL-1.2
"""A folder of SoftHSM tokens for each test, and the module finalised afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.agent.session.module import Module, load
from tests.hsm.places import PLACES, Place, placed
from tests.hsm.tokens import SOFTHSM, SoftHsm


@pytest.fixture
def softhsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    """Tokens `a` and `b`, for this process and its children."""
    made = SoftHsm(tmp_path / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    made.initialise("a")
    made.initialise("b")
    return made


@pytest.fixture
def module(softhsm: SoftHsm) -> Iterator[Module]:
    """SoftHSM in this process, reading this test's tokens; finalised, so that the next test reads its own."""
    loaded = load(SOFTHSM)
    yield loaded
    loaded.finish()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A token of each kind that objects are planted on."""
    with placed(request.param, lambda: request.getfixturevalue("softhsm"), tmp_path) as made:
        yield made

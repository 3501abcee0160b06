# SPDX-License-Identifier: EUPL-1.2
"""The bench of devices runs for each kind, with a receiver that takes all."""

import pytest

from tests.log.devices.site import KINDS
from tests.perf.log.devices import rate
from vault.log.forward.settings import Kind

pytestmark = pytest.mark.loopback


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_measured(kind: Kind) -> None:
    assert rate(kind, 500, patience=60) > 1  # it fails where not all arrive

# SPDX-License-Identifier: EUPL-1.2
"""The page of all metrics is what the code knows of them."""

from tests.house.tree import ROOT
from vault.framework.telemetry import reference


def test_the_page_of_metrics_is_the_newest() -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert page == reference.render(), "run `python -m vault.framework.telemetry.reference > docs/metrics.md`"

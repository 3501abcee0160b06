# SPDX-License-Identifier: EUPL-1.2
"""Findings: what they say, and which of them are faults."""

import pytest

from vault.log.format.finding import NO_FAULTS, RECORD_FAULTS, Finding, Kind, span


def test_a_finding_says_of_which_log_it_is() -> None:
    assert (
        str(Finding(kind=Kind.TIME, log="0123abcd-0-1", words="record 3: late"))
        == "0123abcd-0-1: record 3: late"
    )
    assert (
        str(Finding(kind=Kind.CHECKPOINT, log="", words="a held checkpoint: none"))
        == "a held checkpoint: none"
    )


@pytest.mark.parametrize("kind", Kind)
def test_what_only_says_how_it_is_is_no_fault(kind: Kind) -> None:
    finding = Finding(kind=kind, log="", words="")
    assert finding.fault is (kind not in {"torn", "purged", "coverage"})
    assert not (kind in NO_FAULTS and kind in RECORD_FAULTS)


def test_records_are_named_from_the_first_to_the_last() -> None:
    assert span(3, 3) == "record 3"
    assert span(3, 5) == "records 3 to 5"

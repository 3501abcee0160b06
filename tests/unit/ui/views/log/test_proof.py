# SPDX-License-Identifier: EUPL-1.2
"""Whether a record is proven, on its page; and the proof as a file."""

import pytest

from tests.unit.ui.house import Front, answered, shown
from tests.unit.ui.log_house import FORBIDDEN, LOG, RECORD, note_of, record_front
from vault.log.format.proof import parse_proof
from vault.ui.session.visit import ApiRefusal
from vault.ui.views.log.proof import length, proof
from vault.ui.views.log.record import record
from vault.values.times import Seconds


def test_a_covered_record_names_its_checkpoint_and_how_old_it_is() -> None:
    page = shown(record, record_front(RECORD, 30), log=LOG, seq="7")
    assert "Covered: a signed checkpoint" in page
    assert f"vault.example/log/{LOG}" in page
    assert "30 records, 0 to 29" in page
    assert "so at most 2 minutes old" in page
    assert f'href="/ui/log/proof?mount=nhi&amp;log={LOG}&amp;seq=7" download' in page


def test_the_age_is_not_guessed_where_the_last_record_is_another_tenants() -> None:
    front = record_front(RECORD, 30)
    del front.answers[f"sys/log/records/{LOG}/29"]
    assert "not known here" in shown(record, front, log=LOG, seq="7")


@pytest.mark.parametrize("size", [0, 7])
def test_a_record_under_no_checkpoint_says_so_and_offers_no_proof(size: int) -> None:
    front = record_front(RECORD, 30)
    front.answers[f"sys/log/checkpoints/{LOG}"] = (200, note_of(size)) if size else (404, {})
    page = shown(record, front, log=LOG, seq="7")
    assert "Not yet covered by a checkpoint." in page
    assert ("The newest covers 7 records" in page, "There is no checkpoint yet" in page) == (
        size > 0,
        size == 0,
    )
    assert "Download the proof" not in page


def test_who_may_not_see_checkpoints_is_told_so() -> None:
    front = record_front(RECORD, 30)
    front.answers[f"sys/log/checkpoints/{LOG}"] = (403, FORBIDDEN)
    assert f"may not read sys/log/checkpoints/{LOG}" in shown(record, front, log=LOG, seq="7")


def _proven(log: str) -> Front:
    """A server with a proof and the record of it as a line."""
    front = Front()
    front.answers[f"sys/log/records/{log}/7/proof"] = (
        200,
        b"c2sp.org/tlog-proof@v1\nindex 7\n\n" + note_of(30),
    )
    front.answers[f"sys/log/records/{log}/7"] = (200, b'{"seq":7}\n{"$page":{}}\n')
    return front


def test_the_proof_is_a_file_with_the_record_that_nobody_keeps() -> None:
    answer = answered(proof, _proven(LOG), log=LOG, seq="7")
    found = parse_proof(bytes(answer.body))
    assert (found.index, found.checkpoint, found.extra) == (7, note_of(30), b'{"seq":7}')
    assert answer.headers["content-disposition"] == f'attachment; filename="{LOG}-7.tlog-proof"'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_proof_that_there_is_not_yet_is_a_refusal() -> None:
    with pytest.raises(ApiRefusal) as refused:
        shown(proof, Front(), log=LOG, seq="7")
    assert refused.value.answer.status == 404


def test_a_file_has_no_name_that_somebody_chose() -> None:
    nasty = 'a"\r\nb: c'
    answer = answered(proof, _proven(nasty), log=nasty, seq="7")
    assert answer.headers["content-disposition"] == 'attachment; filename="abc-7.tlog-proof"'


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (172_800, "2 days"),
    ],
)
def test_an_age_is_told_in_the_largest_unit_that_fits_twice(seconds: int, words: str) -> None:
    assert length(Seconds(seconds)) == words

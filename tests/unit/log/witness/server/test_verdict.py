# SPDX-License-Identifier: EUPL-1.2
"""What a witness answers, by each rule of tlog-witness."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.unit.log.format.signing import ed25519, p256, witness
from tests.unit.log.witness.grown import ORIGIN, OTHERS, SERVER, GrownLog
from vault.log.format.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from vault.log.format.note_key import BadKey, Verifier
from vault.log.witness.server.key_file import WitnessKey
from vault.log.witness.server.memory import Memory, name_of, open_memory
from vault.log.witness.server.verdict import KnownLogs, Witness
from vault.log.witness.submission import SIZE_TYPE, Submission, cosignature_in

NOW = 1_790_000_000
KEY = WitnessKey("w.example/1", b"\x07" * 32)
LOG = GrownLog()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    """Those of a new witness, which has room for two logs."""
    opened = open_memory(tmp_path / "memory", KEY.verifier, fresh=True, most=2)
    yield opened
    opened.close()


@pytest.fixture
def asked(memory: Memory) -> Witness:
    """A witness that is there for the logs of one server."""
    return Witness(KEY, KnownLogs([ed25519(SERVER).verifier]), memory, lambda: NOW)


def statuses(asked: Witness, *bodies: bytes) -> list[int]:
    """What is answered, one after the other."""
    return [asked.add_checkpoint(body).status for body in bodies]


def test_a_log_that_grows_is_cosigned_each_time(asked: Witness, memory: Memory) -> None:
    old = 0
    for size in (1, 2, 7, 7, 8, 39, 40):
        answer = asked.add_checkpoint(LOG.body(old, size))
        assert (answer.status, answer.content_type.partition(";")[0]) == (200, "text/plain")
        _, time = cosignature_in(answer.body, LOG.checkpoint(size).text(), KEY.verifier)
        assert (time, answer.told) == (NOW, f"{ORIGIN}: cosigned {size} records")
        assert memory.sizes == {ORIGIN: size}
        old = size


def test_what_was_cosigned_last_is_shown_with_both_signatures(asked: Witness) -> None:
    assert asked.checkpoint(name_of(ORIGIN)).status == 404
    assert statuses(asked, LOG.body(0, 5), LOG.body(5, 9)) == [200, 200]
    shown = asked.checkpoint(name_of(ORIGIN))
    found = open_checkpoint(shown.body, [LOG.signers[0].verifier, KEY.verifier])
    assert (shown.status, found.checkpoint, len(found.signatures)) == (200, LOG.checkpoint(9), 2)


@pytest.mark.parametrize(("old", "size"), [(0, 9), (4, 9), (6, 9), (0, 5), (3, 4)])
def test_another_size_than_was_seen_is_answered_with_the_one_that_was(
    asked: Witness, old: int, size: int
) -> None:
    assert statuses(asked, LOG.body(0, 5)) == [200]
    answer = asked.add_checkpoint(LOG.body(old, size))
    assert (answer.status, answer.content_type, answer.body) == (409, SIZE_TYPE, b"5\n")


def test_of_a_log_that_was_never_seen_nothing_was(asked: Witness) -> None:
    answer = asked.add_checkpoint(LOG.body(3, 9))
    assert (answer.status, answer.body) == (409, b"0\n")


def test_an_old_size_beyond_the_checkpoint_is_malformed(asked: Witness) -> None:
    body = msgspec.structs.replace(LOG.submission(0, 5), old=6).format()
    assert statuses(asked, LOG.body(0, 5), body) == [200, 400]


@pytest.mark.parametrize(
    "body", [b"", b"old 0\n\n", b"old 0\n\nwords", b"old 0\n\n" + ed25519("x").verifier.vkey.encode()]
)
def test_what_is_no_submission_is_malformed(asked: Witness, body: bytes) -> None:
    assert statuses(asked, body) == [400]


def test_a_note_that_is_no_checkpoint_is_malformed(asked: Witness) -> None:
    note = LOG.note(5).replace(b"\n5\n", b"\n05\n")
    assert statuses(asked, Submission(old=0, proof=(), note=note).format()) == [400]


@pytest.mark.parametrize(
    "origin", ["another.example/log/0123abcd-0-1", SERVER + "/x", f"{ORIGIN}/0123abcd-0-1", "x"]
)
def test_a_log_of_nobody_who_is_known_is_not_found(asked: Witness, origin: str) -> None:
    assert statuses(asked, GrownLog(origin=origin).body(0, 5)) == [404]


def test_every_log_of_a_server_that_is_known_is_cosigned_for_itself(asked: Witness, memory: Memory) -> None:
    other = GrownLog(OTHERS, origin=f"{SERVER}/0123abcd-1-4")
    assert statuses(asked, LOG.body(0, 9), other.body(0, 12), LOG.body(9, 20)) == [200] * 3
    assert memory.sizes == {ORIGIN: 20, other.origin: 12}


def test_a_key_under_the_name_of_one_log_is_of_no_other(memory: Memory) -> None:
    one = Witness(KEY, KnownLogs([ed25519(ORIGIN).verifier]), memory, lambda: NOW)
    assert statuses(one, LOG.body(0, 5), GrownLog(origin=f"{SERVER}/0123abcd-1-1").body(0, 5)) == [200, 404]


def test_a_key_on_p256_will_do(memory: Memory) -> None:
    log = GrownLog()
    one = Witness(KEY, KnownLogs([p256(SERVER).verifier]), memory, lambda: NOW)
    assert statuses(one, log.body(0, 5)) == [403]
    log.signers.append(p256(ORIGIN))
    assert statuses(one, log.body(0, 5)) == [200]


def test_the_key_of_a_witness_is_that_of_no_log() -> None:
    with pytest.raises(BadKey):
        KnownLogs([witness("w.example/1")[0]])


def test_without_a_signature_of_a_known_key_it_is_forbidden(asked: Witness) -> None:
    assert statuses(asked, GrownLog(number=2).body(0, 5)) == [403]


def test_with_a_signature_that_is_not_valid_it_is_forbidden(asked: Witness, memory: Memory) -> None:
    note = LOG.note(5)
    forged = sign_checkpoint(LOG.checkpoint(6), LOG.signers).split(b"\n\n")[0] + note[note.index(b"\n\n") :]
    assert statuses(asked, Submission(old=0, proof=(), note=forged).format()) == [403]
    assert memory.sizes == {}


def test_a_signature_of_a_stranger_beside_the_log_s_is_passed_over(asked: Witness) -> None:
    log = GrownLog()
    log.signers.insert(0, ed25519("stranger.example/x", 9))
    answer = asked.add_checkpoint(log.body(0, 5))
    assert answer.status == 200
    assert b"stranger" not in asked.checkpoint(name_of(ORIGIN)).body


def test_a_proof_that_shows_nothing_is_refused(asked: Witness, memory: Memory) -> None:
    assert statuses(asked, LOG.body(0, 5)) == [200]
    good = LOG.submission(5, 9)
    for proof in ((), good.proof[:-1], (*good.proof, b"x" * 32), (b"x" * 32, *good.proof[1:])):
        answer = asked.add_checkpoint(msgspec.structs.replace(good, proof=proof).format())
        assert (answer.status, memory.sizes) == (422, {ORIGIN: 5})
        assert answer.told.startswith(f"{ORIGIN}: refused 9 records after 5: ")


def test_a_first_submission_has_no_proof(asked: Witness) -> None:
    body = msgspec.structs.replace(LOG.submission(0, 5), proof=(b"x" * 32,)).format()
    assert statuses(asked, body) == [422]


def test_a_log_without_records_has_the_root_of_nothing(asked: Witness) -> None:
    empty = sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=b"x" * 32), LOG.signers)
    assert statuses(asked, Submission(old=0, proof=(), note=empty).format()) == [422]
    assert statuses(asked, LOG.body(0, 0), LOG.body(0, 0), LOG.body(0, 3)) == [200] * 3


def test_a_second_view_of_a_log_is_refused(asked: Witness, memory: Memory) -> None:
    other = GrownLog(OTHERS)
    assert statuses(asked, LOG.body(0, 8), other.body(8, 12), LOG.body(12, 20), LOG.body(8, 20)) == [
        200,
        200,
        422,
        409,
    ]
    assert memory.seen(ORIGIN) == other.checkpoint(12)


def test_two_checkpoints_of_one_size_are_kept_as_proof_of_fraud(asked: Witness, tmp_path: Path) -> None:
    other = GrownLog(OTHERS)
    assert statuses(asked, LOG.body(0, 12), other.body(12, 12), other.body(12, 12)) == [200, 422, 422]
    kept = (tmp_path / "memory" / f"{name_of(ORIGIN)}.fraud").read_bytes()
    assert kept == asked.checkpoint(name_of(ORIGIN)).body + b"\n" + other.note(12)


def test_a_proof_that_is_needless_is_no_fraud(asked: Witness, tmp_path: Path) -> None:
    needless = msgspec.structs.replace(LOG.submission(12, 12), proof=(b"x" * 32,)).format()
    assert statuses(asked, LOG.body(0, 12), needless) == [200, 422]
    assert not list((tmp_path / "memory").glob("*.fraud"))


def test_where_there_is_no_room_nothing_is_cosigned(asked: Witness) -> None:
    logs = [GrownLog(origin=f"{SERVER}/0123abcd-{number}-1") for number in range(3)]
    assert statuses(asked, *(log.body(0, 5) for log in logs)) == [200, 200, 507]
    assert statuses(asked, logs[0].body(5, 9)) == [200]


def test_what_cannot_be_kept_is_not_cosigned(asked: Witness, memory: Memory, tmp_path: Path) -> None:
    blocked = tmp_path / "memory" / f"{name_of(ORIGIN)}.checkpoint.new"
    blocked.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        asked.add_checkpoint(LOG.body(0, 5))
    blocked.rmdir()
    assert (memory.sizes, statuses(asked, LOG.body(0, 4))) == ({}, [200])


def test_extensions_are_cosigned_with_the_checkpoint(asked: Witness) -> None:
    extended = Checkpoint(origin=ORIGIN, size=5, root=LOG.checkpoint(5).root, extensions=("more",))
    answer = asked.add_checkpoint(
        Submission(old=0, proof=(), note=sign_checkpoint(extended, LOG.signers)).format()
    )
    cosignature_in(answer.body, extended.text(), KEY.verifier)


def test_the_verifier_key_of_a_log_is_given_as_servers_show_it() -> None:
    shown = Verifier.parse(ed25519(ORIGIN).verifier.vkey)
    assert [one.vkey for one in KnownLogs([shown]).keys(ORIGIN)] == [shown.vkey]

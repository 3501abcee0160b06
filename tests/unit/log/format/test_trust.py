# SPDX-License-Identifier: EUPL-1.2
"""What is believed: checkpoints that a key of the server signed for the log that they name."""

import pytest

from tests.log.written import LOG, ORIGIN
from tests.unit.log.format.signing import cosignature, ed25519, p256, witness
from vault.log.format.checkpoint import BadCheckpoint, Checkpoint, sign_checkpoint
from vault.log.format.finding import Kind
from vault.log.format.note import BadNote, Note, UnknownSigner, format_note, parse_note
from vault.log.format.note_key import BadSignature
from vault.log.format.tree import EMPTY_ROOT, leaf_hash
from vault.log.format.trust import HeldCheckpoints, Opener, Trust

_OTHER_LOG = "0123abcd-0-2"
_KEY = ed25519(ORIGIN).verifier
_TRUST = Trust(keys=(_KEY,))
_OTHER_ROOT = leaf_hash(b"another")


def _note(size: int, *, log: str = LOG, root: bytes = EMPTY_ROOT, number: int = 1) -> bytes:
    origin = f"{ORIGIN}/{log}"
    checkpoint = Checkpoint(origin=origin, size=size, root=root)
    return sign_checkpoint(checkpoint, [ed25519(origin, number), p256(origin, number)])


def _cosigned(raw: bytes, *names: str, number: int = 5) -> bytes:
    note: Note = parse_note(raw)
    return format_note(
        note.text, [*note.signatures, *(cosignature(note.text, name, number) for name in names)]
    )


@pytest.mark.parametrize("name", [ORIGIN, f"{ORIGIN}/{LOG}", f"{ORIGIN}/{_OTHER_LOG}"])
def test_a_key_of_one_log_or_of_the_origin_is_that_of_all_logs(name: str) -> None:
    for log in (LOG, _OTHER_LOG):
        for signer in (ed25519, p256):
            opener = Opener(log, Trust(keys=(signer(name).verifier,)))
            one = opener.open(_note(7, log=log), held=True)
            assert (one.size, one.root, one.held, one.signed) == (7, EMPTY_ROOT, True, True)


def test_what_does_not_count_says_why() -> None:
    opener = Opener(LOG, _TRUST)
    for raw, problem, words in (
        (_note(7, number=2), UnknownSigner, "no known signature"),
        (_note(7).replace(b"\n7\n", b"\n8\n"), BadSignature, "invalid signature"),
        (_note(7, log=_OTHER_LOG), BadCheckpoint, "another log's"),
        (b"nothing", BadNote, "a signed note|a blank line"),
    ):
        with pytest.raises(problem, match=words):
            opener.open(raw, held=False)


def test_a_witness_alone_does_not_make_a_checkpoint_count() -> None:
    trust = Trust(keys=(_KEY,), witnesses=(witness("w1", 5)[0],), quorum=1)
    raw = _cosigned(_note(7, number=2), "w1")
    with pytest.raises(UnknownSigner):
        Opener(LOG, trust).open(raw, held=False)


def test_so_many_witnesses_as_are_asked_for_are_as_good_as_keeping_it_elsewhere() -> None:
    witnesses = (witness("w1", 5)[0], witness("w2", 6)[0], witness("w3", 5)[0])
    raw = _note(7)
    for cosigned, quorum, trusted in (
        (raw, 1, False),
        (_cosigned(raw, "w1"), 0, False),
        (_cosigned(raw, "w1"), 1, True),
        (_cosigned(raw, "w1"), 2, False),
        (_cosigned(raw, "w1", "w3"), 2, False),  # one key under two names is one witness
        (_cosigned(_cosigned(raw, "w1"), "w2", number=6), 2, True),
    ):
        trust = Trust(keys=(_KEY,), witnesses=witnesses, quorum=quorum)
        assert Opener(LOG, trust).open(cosigned, held=False).trusted is trusted


def test_without_keys_nothing_is_signed() -> None:
    one = Opener(LOG, Trust()).open(_note(7), held=False)
    assert (one.signed, one.trusted) == (False, False)


def test_held_checkpoints_are_sorted_by_log_and_size() -> None:
    held = HeldCheckpoints([_note(9), _note(3), _note(5, log=_OTHER_LOG), _note(3)], _TRUST)
    assert {log: [one.size for one in ones] for log, ones in held.by_log.items()} == {
        LOG: [3, 3, 9],
        _OTHER_LOG: [5],
    }
    assert held.findings == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (_note(7, number=2), "a held checkpoint: no known signature"),
        (_note(7).replace(b"\n7\n", b"\n8\n"), "a held checkpoint: invalid signature"),
        (b"nothing", "a held checkpoint: a note is a text, a blank line, and lines with signatures"),
        (format_note("one line\n", parse_note(_note(7)).signatures), "a held checkpoint: a checkpoint has three lines"),
        (_note(7).replace(b"/" + LOG.encode(), b"/a log"), "a held checkpoint: "),
    ],
)  # fmt: skip
def test_a_held_checkpoint_that_does_not_count_is_told(raw: bytes, words: str) -> None:
    held = HeldCheckpoints([raw, _note(3)], _TRUST)
    [finding] = held.findings
    assert (finding.kind, finding.fault) == (Kind.CHECKPOINT, True)
    assert finding.words.startswith(words)
    assert [one.size for one in held.by_log[LOG]] == [3]


def test_two_of_one_size_that_disagree_convict_the_key() -> None:
    one, other = _note(7), _note(7, root=_OTHER_ROOT)
    [finding] = HeldCheckpoints([one, _note(3), other], _TRUST).findings
    assert finding.kind == Kind.FRAUD
    assert (
        finding.words
        == "two checkpoints of 7 records disagree, and a key of the log has signed both: proof of fraud"
    )
    assert {note.encode() for note in finding.notes} == {one, other}


def test_unsigned_or_of_two_logs_they_convict_nobody() -> None:
    pair = [_note(7), _note(7, root=_OTHER_ROOT)]
    assert HeldCheckpoints(pair, Trust()).findings == []
    assert HeldCheckpoints([_note(7), _note(7, log=_OTHER_LOG, root=_OTHER_ROOT)], _TRUST).findings == []

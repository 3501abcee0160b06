# SPDX-License-Identifier: EUPL-1.2
"""What log and witness say to each other."""

import pytest

from tests.unit.log.format.signing import cosignature, witness
from tests.unit.log.witness.grown import GrownLog
from vault.log.format.tree import encode_hash
from vault.log.witness.submission import (
    LARGEST,
    LARGEST_ANSWER,
    BadSubmission,
    NoCosignature,
    Submission,
    cosignature_in,
    format_size,
    parse_size,
    parse_submission,
)

HASH = encode_hash(b"h" * 32)
EXAMPLE = b"""old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\xe2\x80\x94 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
"""The example of tlog-witness, with the first of its signatures."""


def test_the_example_of_the_specification_is_read_and_written() -> None:
    read = parse_submission(EXAMPLE)
    assert (read.old, len(read.proof)) == (20852014, 4)
    assert read.note.startswith(b"example.com/behind-the-sofa\n20852163\n")
    assert read.format() == EXAMPLE


@pytest.mark.parametrize(("old", "size"), [(0, 1), (0, 40), (8, 40), (13, 40), (40, 40)])
def test_a_submission_is_read_as_it_was_written(old: int, size: int) -> None:
    asked = GrownLog().submission(old, size)
    assert parse_submission(asked.format()) == asked


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "begins with a line that says old"),
        (b"old 1\n", "a blank line ends its proof"),
        (b"old 01\n\nx", "says old and a size"),
        (b"old -1\n\nx", "says old and a size"),
        (b"old 9223372036854775808\n\nx", "says old and a size"),
        (b"Old 1\n\nx", "says old and a size"),
        (b"old 1 \n\nx", "says old and a size"),
        (b"old 1\r\n\r\n\n\nx", "says old and a size"),
        ("old 1\né\n\nx".encode(), "ASCII"),
        (b"old 1\nAAAA\n\nx", "a hash in base64"),
        (b"old 1\n" + (HASH + "\n").encode() * 64 + b"\nx", "at most 63 hashes"),
        (b"old 1\n\n" + b"x" * LARGEST, f"at most {LARGEST} bytes"),
    ],
)
def test_what_is_no_submission_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(BadSubmission, match=words):
        parse_submission(body)


def test_a_proof_of_sixty_three_hashes_is_read() -> None:
    most = Submission(old=1, proof=(b"h" * 32,) * 63, note=b"x")
    assert parse_submission(most.format()) == most


def test_a_size_is_read_as_it_is_written_and_nothing_else_is() -> None:
    assert [parse_size(format_size(size)) for size in (0, 1, 20852014, (1 << 63) - 1)] == [
        0, 1, 20852014, (1 << 63) - 1,
    ]  # fmt: skip
    others = (b"", b"1", b"01\n", b"-1\n", b"1\n\n", b" 1\n", b"9223372036854775808\n", b"1" * 40 + b"\n")
    assert [parse_size(body) for body in others] == [None] * len(others)


def test_the_cosignature_of_the_witness_is_found_among_those_of_others() -> None:
    text = GrownLog().checkpoint(7).text()
    verifier, _ = witness("w.example/1", 7)
    own = cosignature(text, "w.example/1", 7, time=1_790_000_003)
    others = [cosignature(text, "w.example/1", 8), cosignature(text, "w.example/2", 7)]
    answer = "".join(f"{one.line()}\n" for one in (*others, own)).encode()
    assert cosignature_in(answer, text, verifier) == (own, 1_790_000_003)


def _answers() -> dict[str, tuple[bytes, str]]:
    log = GrownLog()
    text = log.checkpoint(7).text()
    another = cosignature(log.checkpoint(8).text(), "w.example/1", 7).line().encode() + b"\n"
    good = cosignature(text, "w.example/1", 7).line().encode() + b"\n"
    return {
        "empty": (b"", "no line with a signature"),
        "words": (b"sure\n", "no line with a signature"),
        "of another checkpoint": (another, "not valid"),
        "of another key": (cosignature(text, "w.example/1", 9).line().encode() + b"\n", "no cosignature of its key"),
        "without its end": (good[:-1], "no line with a signature"),
        "behind a text": (b"more\n\n" + good, "no line with a signature|no cosignature|not valid"),
        "behind a checkpoint": (log.note(7) + b"\n" + good, "no line with a signature|not valid"),
        "endless": (good * 1000, f"more than {LARGEST_ANSWER} bytes"),
    }  # fmt: skip


@pytest.mark.parametrize("which", sorted(_answers()))
def test_what_is_no_cosignature_is_refused_in_words(which: str) -> None:
    answer, words = _answers()[which]
    verifier, _ = witness("w.example/1", 7)
    with pytest.raises(NoCosignature, match=words):
        cosignature_in(answer, GrownLog().checkpoint(7).text(), verifier)

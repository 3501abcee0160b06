# SPDX-License-Identifier: EUPL-1.2
"""Signed notes: read as the specification says, and believed only by a known key."""

import pytest

from tests.unit.log.format.signing import cosignature, ed25519, p256, witness
from vault.log.format.note import (
    MOST_BYTES,
    MOST_SIGNATURES,
    BadNote,
    Signature,
    UnknownSigner,
    format_note,
    open_note,
    parse_note,
    sign_note,
)
from vault.log.format.note_key import BadSignature, Verifier

# The example of the specification.
_KEY = Verifier.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
_EXAMPLE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
_LINE = _EXAMPLE.partition(b"\n\n")[2]


def test_the_example_of_the_specification_is_verified() -> None:
    note, signatures = open_note(_EXAMPLE, [_KEY])
    assert note.text == "This is an example message.\n"
    assert [(one.verifier.name, one.time) for one in signatures] == [("example.com/foo", None)]
    assert format_note(note.text, note.signatures) == _EXAMPLE


def test_the_text_goes_on_to_the_last_blank_line() -> None:
    note = parse_note(b"one\n\n\ntwo\n\n" + _LINE)
    assert note.text == "one\n\n\ntwo\n"
    assert parse_note(b"one\n\n\n" + _LINE).text == "one\n\n"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "a blank line"),
        (b"text\n", "a blank line"),
        (b"text\n" + _LINE, "a blank line"),
        (b"text\n\n" + _LINE[:-1], "a blank line"),
        (b"text\n\n", "a blank line"),
        (b"text\n\n\n", "a blank line"),
        (b"text\r\n\n" + _LINE, "control characters"),
        (b"te\x00xt\n\n" + _LINE, "control characters"),
        (b"text\t\n\n" + _LINE, "control characters"),
        (b"te\xffxt\n\n" + _LINE, "UTF-8"),
        (b"te\xed\xa0\x80xt\n\n" + _LINE, "UTF-8"),
        (b"text\n\n" + _LINE.replace("— ".encode(), b"- "), "a signature's line"),
        (b"text\n\n" + _LINE.replace(b"example.com/foo ", b" "), "a signature's line"),
        (b"text\n\n" + _LINE.replace(b"example.com/foo", b"example.com foo"), "a signature's line"),
        (b"text\n\n" + _LINE.replace(b"example.com/foo", b"example.com+foo"), "a signature's line"),
        (b"text\n\n" + _LINE.replace(b"Uw2Q", b"Uw2_"), "a signature's line"),
        ("text\n\n— example.com/foo Uw2QOg==\n".encode(), "a signature's line"),
        (b"text\n\n" + _LINE + b"more\n", "a signature's line"),
        (b"text\n\n" + _LINE * (MOST_SIGNATURES + 1), "at most 64 signatures"),
        (b"x" * (MOST_BYTES + 1), "at most 131072 bytes"),
    ],
)
def test_what_is_no_note_is_refused(raw: bytes, problem: str) -> None:
    with pytest.raises(BadNote, match=problem):
        parse_note(raw)


def test_sixteen_large_signatures_beside_a_known_one_are_passed_over() -> None:
    large = [Signature(f"witness.example/{number}", b"\0\0\0\1", bytes(5000)) for number in range(16)]
    note = parse_note(_EXAMPLE)
    raw = format_note(note.text, [*large, *note.signatures])
    assert len(open_note(raw, [_KEY])[1]) == 1


def test_a_note_may_be_as_large_as_that_and_no_larger() -> None:
    text = "x" * (MOST_BYTES - len(_EXAMPLE) + len("This is an example message."))
    raw = _EXAMPLE.replace(b"This is an example message.", text.encode())
    assert len(raw) == MOST_BYTES
    assert parse_note(raw).text == f"{text}\n"
    assert len(parse_note(b"text\n\n" + _LINE * MOST_SIGNATURES).signatures) == MOST_SIGNATURES


def test_without_a_known_key_nothing_is_believed() -> None:
    same_name = ed25519("example.com/foo").verifier
    for keys in ([], [same_name], [_KEY.under("example.com/bar")]):
        with pytest.raises(UnknownSigner, match="no known signature"):
            open_note(_EXAMPLE, keys)


def test_a_note_of_which_one_known_signature_is_invalid_is_refused() -> None:
    signers = [ed25519("log"), p256("log")]
    raw = sign_note("text\n", signers)
    keys = [signer.verifier for signer in signers]
    assert {one.verifier.kind for one in open_note(raw, keys)[1]} == {1, 2}
    edited = raw.replace(b"text", b"tent")
    for known in (keys[:1], keys[1:], keys):
        with pytest.raises(BadSignature, match="invalid signature"):
            open_note(edited, known)
    note = parse_note(raw)
    half = format_note("text\n", [note.signatures[0], Signature("log", keys[1].key_id, b"\x30\x00")])
    assert len(open_note(half, keys[:1])[1]) == 1
    with pytest.raises(BadSignature):
        open_note(half, keys)


def test_a_signature_that_comes_twice_counts_once() -> None:
    note = parse_note(_EXAMPLE)
    raw = format_note(note.text, [*note.signatures, *note.signatures])
    assert len(open_note(raw, [_KEY])[1]) == 1


def test_a_witness_says_when_it_saw_a_checkpoint() -> None:
    log = ed25519("log")
    note = parse_note(sign_note("text\n", [log]))
    raw = format_note("text\n", [*note.signatures, cosignature("text\n", "w1", time=7)])
    signatures = open_note(raw, [log.verifier, witness("w1")[0], witness("w2")[0]])[1]
    assert [(one.verifier.name, one.time) for one in signatures] == [("log", None), ("w1", 7)]


@pytest.mark.parametrize("text", ["", "text", "te\tx\n", "te\rx\n"])
def test_a_text_that_no_note_has_is_not_signed(text: str) -> None:
    with pytest.raises(BadNote):
        sign_note(text, [ed25519("log")])
    with pytest.raises(BadNote):
        format_note("text\n", [])

# SPDX-License-Identifier: EUPL-1.2
"""The transcript of a ceremony: what a script must say, and what a signature covers."""

import hashlib
import os
import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from hsm.ceremony import transcript as ceremony
from hsm.ceremony.transcript import (
    CeremonyError,
    Participant,
    Receipt,
    Signature,
    SignedTranscript,
    Step,
    Transcript,
)
from hsm.ceremony.verification import deviations, fingerprint, plain, problems, shown

_AT = "2026-11-25T10:00:00Z"
_KEYS: dict[str, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey] = {
    "Alice": ed25519.Ed25519PrivateKey.generate(),
    "Bob": ec.generate_private_key(ec.SECP256R1()),
}
_SCRIPT = """
title = "Keys of the vault"
place = "Room 12"
evidence = ["config.hcl"]
[[participant]]
name = "Alice"
role = "crypto officer"
public_key = "Alice.pem"
[[participant]]
name = "Bob"
role = "witness"
public_key = "Bob.pem"
[[step]]
by = "Alice"
text = "Opens the sealed bag of the token"
[[step]]
by = "Alice"
action = "generate-kek"
[[receipt]]
custodian = "Bob"
what = "share 1 of 5"
"""


def _private(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    hiding = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hiding)


def _public(name: str) -> str:
    key = _KEYS[name].public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _folder(path: Path, script: str = _SCRIPT) -> Path:
    for name in _KEYS:
        (path / f"{name}.pem").write_text(_public(name))
    (path / "script.toml").write_text(script)
    return path / "script.toml"


def _transcript() -> Transcript:
    return Transcript(
        title="Keys of the vault",
        place="Room 12",
        program="coffre 1",
        started=_AT,
        finished=_AT,
        participants=[Participant(name, "there", _public(name)) for name in _KEYS],
        evidence=[],
        steps=[Step(_AT, "Alice", "", "generate-kek", {"kcv": "a1b2c3"})],
        receipts=[Receipt(_AT, "Bob", "share 1 of 5", "E-0042")],
        complete=True,
    )


def _signed() -> SignedTranscript:
    signed = ceremony.freeze(_transcript())
    for name, key in _KEYS.items():
        signed = ceremony.sign(signed, name, _private(key), None)
    return signed


def test_a_script_is_read_with_the_keys_of_its_participants(tmp_path: Path) -> None:
    script = ceremony.read_script(_folder(tmp_path))
    assert [person.public_key for person in script.participant] == [_public("Alice"), _public("Bob")]
    assert [task.action for task in script.step] == ["confirm", "generate-kek"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "Bob"', 'name = "Alice"', "at least two participants"),
        ('by = "Alice"', 'by = "Mallory"', "not a participant: Mallory"),
        ('custodian = "Bob"', 'custodian = "Eve"', "not a participant: Eve"),
        ('action = "generate-kek"', 'action = "erase"', "is not a script"),
        ('title = "Keys of the vault"', "title = ", "is not a script"),
        ("Bob.pem", "Alice.pem", "two participants have the same key"),
        ("Alice.pem", "nobody.pem", "Alice: .*cannot be read"),
        ("Alice.pem", "script.toml", "holds no public key"),
        ("Alice.pem", "rsa.pem", "must be an Ed25519 or P-256 key"),
        ("Alice.pem", "p384.pem", "must be an Ed25519 or P-256 key"),
    ],
)
def test_a_script_that_cannot_be_followed_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    others: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
        "rsa": rsa.generate_private_key(65537, 2048),
        "p384": ec.generate_private_key(ec.SECP384R1()),
    }
    for name, key in others.items():
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pem").write_bytes(pem)
    with pytest.raises(CeremonyError, match=says):
        ceremony.read_script(_folder(tmp_path, _SCRIPT.replace(old, new)))


def test_a_script_needs_a_step_and_names_that_differ(tmp_path: Path) -> None:
    head, _, _ = _SCRIPT.partition("[[step]]")
    third = '[[participant]]\nname = "Bob"\nrole = "again"\npublic_key = "Bob.pem"\n'
    with pytest.raises(CeremonyError, match="two participants have the same name"):
        ceremony.read_script(_folder(tmp_path, _SCRIPT.replace("[[step]]", f"{third}[[step]]", 1)))
    with pytest.raises(CeremonyError, match="not a script"):
        ceremony.read_script(_folder(tmp_path, head))
    with pytest.raises(CeremonyError, match="there is no step"):
        ceremony.read_script(_folder(tmp_path, f"step = []\n{head}"))
    with pytest.raises(CeremonyError, match="cannot be read"):
        ceremony.read_script(tmp_path / "absent.toml")


def test_evidence_is_the_digest_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"second")
    (tmp_path / "a").write_bytes(b"first")
    found = ceremony.digests([tmp_path / "b", tmp_path / "a"])
    assert [(e.path, e.sha256) for e in found] == [
        (str(tmp_path / "a"), hashlib.sha256(b"first").hexdigest()),
        (str(tmp_path / "b"), hashlib.sha256(b"second").hexdigest()),
    ]
    with pytest.raises(CeremonyError, match="cannot be read"):
        ceremony.digests([tmp_path / "absent"])


def test_a_program_is_the_digest_of_the_list_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("b.py", "inner/a.py", "c.txt"):
        (tmp_path / name).write_text(name)
    listing = subprocess.run(
        ["sha256sum", "b.py", "inner/a.py"], cwd=tmp_path, capture_output=True, check=True
    ).stdout
    found = ceremony.tree_digest(tmp_path, ".py")
    assert found.sha256 == hashlib.sha256(listing).hexdigest()
    assert found.path == f"{tmp_path}/**.py"


def test_a_transcript_that_all_have_signed_has_no_problems(tmp_path: Path) -> None:
    (tmp_path / "transcript.json").write_bytes(ceremony.dump(_signed()))
    read = ceremony.load(tmp_path / "transcript.json")
    assert problems(read) == []
    assert read.read() == _transcript()
    assert ceremony.digest(read) == hashlib.sha256(bytes(read.transcript)).hexdigest()


def test_who_has_not_signed_is_named() -> None:
    signed = ceremony.sign(ceremony.freeze(_transcript()), "Bob", _private(_KEYS["Bob"]), None)
    assert problems(signed) == ["Alice: has not signed"]


def test_a_changed_transcript_is_seen() -> None:
    signed = _signed()
    whole = bytes(signed.transcript)
    assert b"E-0042" in whole
    changed = msgspec.structs.replace(signed, transcript=msgspec.Raw(whole.replace(b"E-0042", b"E-0043")))
    assert [problem.split(":")[0] for problem in problems(changed)] == ["Alice", "Bob"]


def test_a_signature_of_a_stranger_and_of_another_transcript_are_seen() -> None:
    signed = _signed()
    stranger = Signature("Mallory", os.urandom(64))
    swapped = [Signature("Alice", signed.signatures[1].signature), *signed.signatures[1:], stranger]
    assert problems(msgspec.structs.replace(signed, signatures=swapped)) == [
        "Alice: the signature does not belong to this transcript",
        "Mallory: signed, and is not a participant",
    ]


@pytest.mark.parametrize("key", ["not a key", "rsa"])
def test_a_participant_with_an_unusable_key_has_not_signed(key: str) -> None:
    other = rsa.generate_private_key(65537, 2048).public_key()
    pem = (
        key if key != "rsa" else other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    )
    people = [Participant("Alice", "there", pem), _transcript().participants[1]]
    transcript = msgspec.structs.replace(_transcript(), participants=people)
    signed = msgspec.structs.replace(ceremony.freeze(transcript), signatures=[Signature("Alice", b"x" * 64)])
    assert problems(signed) == [
        "Bob: has not signed",
        "Alice: the signature does not belong to this transcript",
    ]
    assert bool(fingerprint(people[0])) == (key == "rsa")


def test_only_a_participant_signs_once_and_with_the_right_key() -> None:
    unsigned = ceremony.freeze(_transcript())
    with pytest.raises(CeremonyError, match="Mallory: is not a participant"):
        ceremony.sign(unsigned, "Mallory", _private(_KEYS["Bob"]), None)
    with pytest.raises(CeremonyError, match="not the private key of the public key"):
        ceremony.sign(unsigned, "Alice", _private(ed25519.Ed25519PrivateKey.generate()), None)
    with pytest.raises(CeremonyError, match="signed already"):
        ceremony.sign(_signed(), "Alice", _private(_KEYS["Alice"]), None)
    with pytest.raises(CeremonyError, match="cannot be opened"):
        ceremony.sign(unsigned, "Alice", _private(_KEYS["Alice"], b"right"), b"wrong")
    with pytest.raises(CeremonyError, match="must be Ed25519 or P-256"):
        other = rsa.generate_private_key(65537, 2048)
        pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        ceremony.sign(unsigned, "Alice", pem, None)


def test_a_private_key_may_be_encrypted() -> None:
    signed = ceremony.sign(
        ceremony.freeze(_transcript()), "Alice", _private(_KEYS["Alice"], b"word"), b"word"
    )
    assert problems(signed) == ["Bob: has not signed"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"transcript":{"title":1},"signatures":[]}'])
def test_what_is_no_transcript_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "transcript.json").write_bytes(content)
    with pytest.raises(CeremonyError, match="is not a transcript"):
        ceremony.load(tmp_path / "transcript.json")
    with pytest.raises(CeremonyError, match="cannot be read"):
        ceremony.load(tmp_path / "absent.json")


def _edited(old: bytes, new: bytes) -> bytes:
    content = ceremony.dump(_signed())
    assert old in content
    return content.replace(old, new)


@pytest.mark.parametrize(
    "content",
    [
        _edited(b'{"transcript":', b'{"transcript":{"title":"another"},"transcript":'),
        _edited(b'"place":', b'"place":"Room 13","place":'),
        _edited(b',"signatures"', b', "signatures"'),
        _edited(b'"place":', b' "place":'),
        _edited(b"Room", b"\\u0052oom"),
        _edited(b"\n", b"\n\n"),
        _edited(b"\n", b""),
    ],
    ids=["transcript twice", "field twice", "blank", "blank within", "escape", "end", "no end"],
)
def test_a_file_that_says_the_same_in_other_bytes_was_edited(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "transcript.json").write_bytes(content)
    with pytest.raises(CeremonyError, match="was edited"):
        ceremony.load(tmp_path / "transcript.json")


def _person(name: str, keys_of: str) -> Participant:
    return Participant(name, "there", _public(keys_of))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"participants": []}, "at least two participants"),
        ({"participants": [_person("Bob", "Bob")]}, "at least two participants"),
        ({"participants": [*map(_person, "AB", ("Bob", "Bob"))]}, "two participants have the same key"),
        (
            {"participants": [_person("Bob", "Bob"), _person("A", "Alice"), _person("Bob", "Alice")]},
            "two participants have the same name",
        ),
        ({"steps": [Step(_AT, "Eve", "", "confirm")]}, "not a participant: Eve"),
        ({"receipts": [Receipt(_AT, "Eve", "a share", "1")]}, "not a participant: Eve"),
    ],
)
def test_a_transcript_that_no_ceremony_makes_is_not_believed(change: dict[str, object], says: str) -> None:
    signed = ceremony.freeze(msgspec.structs.replace(_transcript(), **change))
    assert says in "; ".join(problems(signed))


def test_a_second_signature_of_one_participant_is_seen() -> None:
    signed = _signed()
    again = msgspec.structs.replace(signed, signatures=[*signed.signatures, signed.signatures[0]])
    assert problems(again) == ["Alice: signed more than once"]


def _scripted(tmp_path: Path) -> tuple[ceremony.Script, Transcript]:
    """A script, and a transcript that follows it."""
    script = ceremony.read_script(_folder(tmp_path))
    steps = [Step(_AT, task.by, task.text, task.action) for task in script.step]
    return script, msgspec.structs.replace(_transcript(), participants=script.participant, steps=steps)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"participants": [_person("Alice", "Bob"), _person("Bob", "Alice")]}, "Alice: is another person"),
        ({"participants": [_person("Alice", "Alice")]}, "Bob: is missing"),
        ({"title": "Keys"}, "title or place"),
        ({"place": "Room 13"}, "title or place"),
        ({"steps": []}, "the steps differ at number 1"),
        ({"steps": [Step(_AT, "Alice", "Opens the sealed bag of the token", "confirm")]}, "at number 2"),
        ({"receipts": [Receipt(_AT, "Alice", "share 1 of 5", "E-0042")]}, "the receipts differ at number 1"),
        ({"complete": False}, "stopped before its end"),
        ({"steps": [Step(_AT, "Alice", "", "generate-kek", {"failed": "no"})]}, "a step failed"),
    ],
)
def test_the_script_shows_whose_keys_a_transcript_brings_and_what_it_leaves_out(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    script, transcript = _scripted(tmp_path)
    assert deviations(transcript, script) == []
    assert says in "; ".join(deviations(msgspec.structs.replace(transcript, **change), script))


def test_what_a_transcript_says_is_shown_and_not_obeyed() -> None:
    forged = "\x1b[2J\nAll participants have signed: Alice\u202e"
    transcript = msgspec.structs.replace(_transcript(), title=forged)
    assert shown(transcript).title == "\\x1b[2J\\nAll participants have signed: Alice\\u202e"
    assert plain("Zoë, Büro 4") == "Zoë, Büro 4"

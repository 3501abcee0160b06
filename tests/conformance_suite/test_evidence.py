# SPDX-License-Identifier: EUPL-1.2
"""What is handed over: it is read within bounds, its forms are told apart, and signatures are another program's work."""

import base64
import gzip
import json
import shutil
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from esa_conformance.errors import ConformanceError, UnknownOutcome
from esa_conformance.evidence import files
from esa_conformance.evidence.files import Artefacts
from esa_conformance.evidence.notes import P256, Key, checkpoints_in, checkpoints_of, key_of
from esa_conformance.evidence.openssl import SigningKey, is_good
from esa_conformance.evidence.records import chains, moment, of_path, outcomes, records_of
from tests.conformance_suite.stub import Said, serving

_VECTORS = json.loads(
    (Path(__file__).parents[2] / "api-spec" / "vectors" / "log.json").read_text(encoding="utf-8")
)
_OPENSSL = shutil.which("openssl") or "openssl"


def test_a_folder_is_its_files_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.jsonl").write_bytes(b"1\n")
    (tmp_path / "b" / "c.jsonl.gz").write_bytes(gzip.compress(b"2\n"))
    (tmp_path / "other.txt").write_bytes(b"3\n")
    assert Artefacts(records=(str(tmp_path),)).record_files() == [b"1\n", b"2\n"]


def test_an_address_is_asked_without_credential_and_no_redirect_is_followed() -> None:
    with serving(
        lambda r: Said(200, b"1\n") if r.target == "/log?x=1" else Said(302, b"", {"Location": "/log"})
    ) as (
        port,
        seen,
    ):
        assert Artefacts(records=(f"http://127.0.0.1:{port}/log?x=1",)).record_files() == [b"1\n"]
        with pytest.raises(ConformanceError, match="302"):
            Artefacts(records=(f"http://127.0.0.1:{port}/moved",)).record_files()
    assert {name for sent in seen for name in sent.headers} == {"host", "accept-encoding"}


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_too_long_is_refused_and_not_read_in_part(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 1000)
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    path.write_bytes(gzip.compress(b"x" * 1001) if packed else b"x" * 1001)
    with pytest.raises(ConformanceError, match="more than"):
        Artefacts(records=(str(path),)).record_files()


def test_files_that_are_too_many_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 1)
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConformanceError, match="more than 1 files"):
        Artefacts(records=(str(tmp_path),)).record_files()


def test_what_cannot_be_read_is_told_without_its_place(tmp_path: Path) -> None:
    for place in (str(tmp_path / "none-such"), "http://127.0.0.1:9/none-such"):
        with pytest.raises(ConformanceError) as told:
            Artefacts(records=(place,)).record_files()
        assert "none-such" not in str(told.value)
    with pytest.raises(UnknownOutcome):
        Artefacts(records=("http://127.0.0.1:9/none-such",)).record_files()


def test_what_is_not_packed_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz").write_bytes(b"plain")
    with pytest.raises(ConformanceError, match="not of gzip"):
        Artefacts(records=(str(tmp_path / "a.log.gz"),)).record_files()


_AUDITED = {
    "type": "response",
    "time": "2026-11-28T09:00:00Z",
    "auth": {"token_type": "default"},
    "request": {"id": "r1", "operation": "read", "path": "secret/data/a", "remote_address": "127.0.0.1"},
}


def test_both_forms_of_records_say_the_same() -> None:
    own = {
        "request.id": "r1", "event_name": "read", "url.path": "secret/data/a", "client.address": "127.0.0.1",
        "actor": {"type": "root"}, "phase": "outcome", "outcome": "success", "observed_timestamp": "2026-11-28T09:00:00Z",
    }  # fmt: skip
    lines = [json.dumps(one).encode() for one in (own, _AUDITED)]
    one, other = records_of([b"\n".join(lines) + b'\nnot json\n[1]\n{"half": '])
    shown = [(r.request, r.operation, r.path, r.address, r.caller, r.outcome, r.time) for r in (one, other)]
    assert shown[0] == shown[1]
    assert shown[0][5] == "done"
    assert (one.own_form, chains([one, other])) == (False, {})


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ({}, "done"),
        ({"error": "permission denied"}, "refused"),
        ({"type": "request"}, ""),
        ({"type": "request", "error": "permission denied"}, "refused"),
    ],
)
def test_an_audit_record_tells_its_outcome(members: dict[str, str], outcome: str) -> None:
    (record,) = records_of([json.dumps({**_AUDITED, **members}).encode() + b"\n"])
    assert record.outcome == outcome


def test_a_request_has_one_outcome_and_a_path_is_whole() -> None:
    data = json.dumps({**_AUDITED, "error": "x"}).encode() + b"\n"
    records = records_of([data, data])
    assert len(outcomes(records)) == 1
    assert [len(list(of_path(records, path))) for path in ("secret/data/a", "data/a", "a", "ata/a")] == [
        2,
        2,
        2,
        0,
    ]


def test_times_are_compared_whatever_their_digits() -> None:
    assert moment("2026-11-28T09:00:00.1Z") == moment("2026-11-28T09:00:00.100000000Z")
    assert moment("2026-11-28T09:00:00.09Z") < moment("2026-11-28T09:00:00.1Z")
    assert moment("2026-11-28T09:00:00Z") < moment("2026-11-28T09:00:00.000000001Z")


def test_checkpoints_are_read_one_after_the_other_and_from_lines() -> None:
    notes = [_VECTORS["checkpoint4"], _VECTORS["checkpoint7"]]
    lines = "".join(json.dumps({"note": note}) + "\n" for note in notes).encode()
    for found in (checkpoints_of("\n".join(notes)), checkpoints_of("".join(notes)), checkpoints_in(lines)):
        assert [one.size for one in found] == [4, 7]
        assert [one.root.hex() for one in found] == [_VECTORS["root4"], _VECTORS["root7"]]
        assert all(len(one.signatures) == 2 for one in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "a\n1\nAAAA\n\n— a AAAA\n",
        "a\n-1\n" + "A" * 43 + "=\n\n— a AAAA\n",
        "a\n1\n" + "A" * 43 + "=\n",
    ],
)
def test_what_is_no_checkpoint_is_none(text: str) -> None:
    assert checkpoints_of(text) == []
    assert checkpoints_in(b'{"note": ' + json.dumps(text).encode() + b"}\n") == []


def test_what_are_no_lines_of_checkpoints_are_none() -> None:
    assert checkpoints_in(b'{"note"\n') == []
    assert checkpoints_in(b'{"other": 1}\n') == []


def _keys() -> list[Key]:
    spki = base64.b64decode(_VECTORS["p256_spki"])
    name = _VECTORS["ed25519_vkey"].partition("+")[0]
    vkey = f"{name}+{_VECTORS['p256_key_id']}+{base64.b64encode(bytes([P256]) + spki).decode()}"
    made = [key for text in (_VECTORS["ed25519_vkey"], vkey) if (key := key_of(text)) is not None]
    assert len(made) == 2
    return made


@pytest.mark.parametrize("kind", [0, 1])
def test_another_program_verifies_the_signatures_of_the_vectors(kind: int) -> None:
    key = _keys()[kind]
    (note,) = checkpoints_of(_VECTORS["checkpoint7"])
    (value,) = key.signed(note)
    assert is_good(_OPENSSL, key, note.text, value)
    assert not is_good(_OPENSSL, key, note.text + b"x", value)
    assert not is_good(_OPENSSL, key, note.text, value[:-1] + bytes([value[-1] ^ 1]))


def test_what_it_signs_is_verified_by_an_independent_library() -> None:
    key = SigningKey(_OPENSSL)
    public = serialization.load_pem_public_key(key.public.encode())
    assert isinstance(public, RSAPublicKey)
    public.verify(key.sign(b"text"), b"text", padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        public.verify(key.sign(b"text"), b"other", padding.PKCS1v15(), hashes.SHA256())


def test_a_program_that_makes_no_key_is_an_error_of_the_run(tmp_path: Path) -> None:
    for program in (str(tmp_path / "none"), shutil.which("false") or "false"):
        with pytest.raises(ConformanceError, match=r"hooks\.openssl"):
            SigningKey(program)


def test_a_program_that_does_not_run_is_no_verdict(tmp_path: Path) -> None:
    (note,) = checkpoints_of(_VECTORS["checkpoint7"])
    key = _keys()[0]
    with pytest.raises(ConformanceError, match=r"hooks\.openssl"):
        is_good(str(tmp_path / "none"), key, note.text, key.signed(note)[0])


@pytest.mark.parametrize(
    "text", ["", "a+b+c", "name+00000000+AAAA", _VECTORS["ed25519_vkey"].replace("7c8e0f62", "7c8e0f63")]
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert key_of(text) is None

# SPDX-License-Identifier: EUPL-1.2
"""No stored record changes without a version, and none is stored past `vault.barrier.stored`."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from tests.house import stored
from tests.house.tree import ROOT, files, nodes, spelled
from vault.barrier.stored import KINDS, RecordKind

CODECS = {
    "hsm/agent/service.py": "frames between two processes",
    "hsm/ceremony/transcript.py": "a transcript for people, no record of storage",
    "hsm/envelope.py": "listed in stored.txt; has a version of its own",
    "hsm/agent/oneshot.py": "what two processes say to each other",
    "hsm/protocol.py": "frames between two processes",
    "hsm/agent/report.py": "what two processes say to each other",
    "hsm/client/oneshot.py": "what two processes say to each other",
    "hsm/client/report.py": "what two processes say to each other",
    "nhi/auth/jwt/cel/protocol.py": "what two processes say to each other",
    "nhi/auth/jwt/states.py": "encrypted for a browser, under a key that ends with the process",
    "nhi/biscuit/credential/possession.py": "RFC 7638",
    "vault/barrier/stored.py": "where records are encoded",
    "vault/framework/request/exact_json.py": "a user's own JSON",
    "vault/idempotency/kept_answers.py": "the data of an answer, within the record of a kept one",
    "vault/engines/transit/keys/model.py": "a version of a key, as the release before writes it",
    "vault/engines/transit/moving/backup_form.py": "backups of keys, in OpenBao's form",
    "vault/engines/kv/store.py": "a part of the KV row, listed with it",
    "vault/framework/hcl/lexer.py": "a string in HCL",
    "vault/framework/telemetry/log.py": "lines of the log",
    "vault/engines/system/log/records.py": "an answer, and what a cursor is bound to",
    "vault/engines/system/log/status.py": "an answer",
    "vault/framework/help/openapi.py": "schemas of a document, some of which get another name",
    "vault/log/chain.py": "the state beside a segment of the log",
    "vault/log/common_log.py": "records of the log",
    "vault/log/cursor.py": "encrypted for a client, under a key of the log",
    "vault/log/record.py": "records of the log",
    "vault/log/purger.py": "records of the log",
    "vault/log/retention.py": "the retention of the last start, beside the log",
    "vault/log/recovery.py": "records of the log, and the state beside a segment",
    "vault/log/reader/client.py": "what two processes say to each other",
    "vault/log/reader/follower.py": "records of the log",
    "vault/log/reader/index/block.py": "the index of the log, which is made anew where its version is another",
    "vault/log/reader/index/entry.py": "records of the log",
    "vault/log/reader/index/store.py": "the index of the log, which is made anew where its version is another",
    "vault/log/reader/lines.py": "files of the log, beside its records",
    "vault/log/reader/messages.py": "what two processes say to each other",
    "vault/log/reader/service.py": "what two processes say to each other",
    "vault/log/signing.py": "checkpoints of the log",
    "vault/log/witness/rounds.py": "checkpoints of the log",
    "vault/framework/telemetry/exposition.py": "an answer",
    "vault/framework/telemetry/sum.py": "what two processes say to each other",
    "vault/server/compose/together.py": "what two processes say to each other",
    "vault/server/offline/archived.py": "what two processes say to each other",
    "vault/server/otlp/exporter.py": "lines of the server's own log",
    "vault/server/snapshots/archives.py": "what two processes say to each other",
    "vault/storage/copies/archive.py": "what an archive says of itself, on OpenBao's names",
    "vault/server/offline/scheduled.py": "what two processes say to each other",
    "vault/server/snapshots/process.py": "what two processes say to each other",
    "vault/server/workers/tunnel.py": "what two processes say to each other",
    "vault/framework/schema.py": "requests and answers",
    "vault/log/export/any_value.py": "records of the log in another form",
    "vault/log/export/ecs.py": "records of the log in another form",
    "vault/log/export/forms.py": "records of the log in another form",
    "vault/log/export/kinds.py": "records of the log in another form",
    "vault/log/export/otlp.py": "records of the log in another form",
    "vault/log/format/canonical.py": "records of the log",
    "vault/log/forward/cursor.py": "files of the log, beside its records",
    "vault/log/forward/kinds/otlp.py": "answers of receivers",
    "vault/log/forward/report.py": "what two processes say to each other",
    "vault/log/forward/settings.py": "what two processes say to each other",
    "vault/log/forward/source.py": "records of the log",
    "vault/log/format/segment.py": "files of the log, beside its records",
    "vault/policy/decision/explain.py": "an answer",
    "vault/server/dev/server.py": "a file of development mode",
    "vault/server/offline/diagnosis.py": "an answer",
    "vault/server/spec.py": "a file of the repository",
}
"""Where something is encoded or decoded, and why that is no record of storage."""

BYTES = {
    "nhi/auth/approle/store.py": ["salt"],
    "vault/engines/cubbyhole/engine.py": ["text"],
    "vault/engines/kv/plain.py": ["text"],
    "vault/engines/kv/store.py": ["data"],
    "vault/engines/system/mounts/remount.py": ["value"],
    "vault/engines/ssh/otp_routes.py": ["self._entropy.bytes(SALT_BYTES)"],
    "vault/token/entries.py": ["self._entropy.bytes(32)"],
    "vault/token/store.py": ["how"],
}
"""What is stored as it is: random bytes, fixed words, a user's own JSON, and what was stored already."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the programs, with its file."""
    for path in files(".py"):
        name = str(path.relative_to(ROOT))
        if name.startswith(("vault/", "nhi/", "hsm/")):
            for node in nodes(path.read_text(encoding="utf-8")):
                if isinstance(node, ast.Call):
                    yield name, node


def codec(call: ast.Call) -> bool:
    """Whether a call encodes or decodes, or makes what does."""
    function = spelled(call.func)
    return function.startswith(("msgspec.json.", "msgspec.msgpack.", "json.", "pickle.", "marshal.")) and (
        function.rpartition(".")[2]
        in {"encode", "decode", "Encoder", "Decoder", "loads", "dumps", "load", "dump"}
    )


def test_records_are_encoded_and_decoded_by_their_kind_alone() -> None:
    assert sorted({name for name, call in calls() if codec(call)} ^ CODECS.keys()) == []


def test_what_is_stored_is_made_in_one_place_and_bytes_that_are_no_record_are_known() -> None:
    found: dict[str, list[str]] = {}
    for name, call in calls():
        match spelled(call.func):
            case "raw":
                found.setdefault(name, []).append(spelled(call.args[0]))
            case "Stored":
                assert name == "vault/barrier/stored.py"
    assert found == BYTES


def test_every_kind_has_its_name_where_it_is_made() -> None:
    made = [call.args[0] for _, call in calls() if spelled(call.func) == "RecordKind"]
    names = [one.value for one in made if isinstance(one, ast.Constant)]
    assert len(names) == len(made)
    list(stored.newest())
    assert sorted(map(str, names)) == sorted(KINDS)


def test_every_kind_is_listed_with_its_fields_and_every_version_with_a_record() -> None:
    """Say in `RecordKind` which version it is and how older ones are read; then `python -m tests.house.stored`."""
    known = stored.listed(stored.LISTED.read_text(encoding="utf-8"))
    found, wrong = stored.updated(known)
    assert wrong == []
    assert found == known
    versions: dict[str, list[int]] = {}
    for name, version in sorted(known):
        versions.setdefault(name, []).append(version)
    assert versions == {name: list(range(1, version + 1)) for name, version, _ in stored.newest()}


def test_what_is_listed_is_read() -> None:
    known = stored.listed(stored.LISTED.read_text(encoding="utf-8"))
    newest = {(name, version): part for name, version, part in stored.newest()}
    for (name, version), part in known.items():
        if name in KINDS:
            record = KINDS[name].decode(bytes.fromhex(part.sample))
            if (name, version) in newest:
                assert KINDS[name].encode(record).hex() == part.sample


class Before(msgspec.Struct):
    name: str


class After(msgspec.Struct):
    name: str
    hours: int = 0


class Changed(msgspec.Struct):
    name: str = "x"


@pytest.mark.parametrize("form", [After, Changed, dict[str, str], list[Before], bytes])
def test_a_changed_field_type_or_default_is_seen(form: type) -> None:
    assert stored.form(form) != stored.form(Before)


def test_fields_that_change_without_a_version_are_told_and_the_list_stays() -> None:
    try:
        RecordKind("thing", Before)
        known, wrong = stored.updated({})
        assert wrong == []
        del KINDS["thing"]
        RecordKind("thing", After)
        found, wrong = stored.updated(known)
        assert wrong == [f"thing 1 {stored.CHANGED} of version 1"]
        assert found == known
        del KINDS["thing"]
        RecordKind("thing", After, version=2, older={1: None})
        found, wrong = stored.updated(known)
        assert wrong == []
        assert found.keys() - known.keys() == {("thing", 2)}
        assert found["thing", 1] == known["thing", 1]
    finally:
        KINDS.pop("thing", None)


def test_the_list_reads_as_it_was_written() -> None:
    found, _ = stored.updated({})
    text = "\n".join(f"{name} {version}\n{part.text()}" for (name, version), part in found.items())
    assert stored.listed(text) == found


def test_all_kinds_are_known_once_the_server_is_imported() -> None:
    """Else two nodes of one release would take each other for others (`vault.barrier.formats.digest`)."""
    makers = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files(".py")
        if path.relative_to(ROOT).parts[0] in {"vault", "nhi", "hsm"} and "RecordKind(" in path.read_text()
    ]
    assert len(makers) > 30
    program = (
        f"import sys, vault.server.compose.app; print([one for one in {makers!r} if one not in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"

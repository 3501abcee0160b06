# SPDX-License-Identifier: EUPL-1.2
"""The stanza of the log: its witnesses and its second key, and what is wrong with some."""

from pathlib import Path

import pytest

from tests.unit.log.format.signing import ed25519, witness
from vault.server.config.files import load, validate
from vault.server.config.settings import LogSettings
from vault.server.failure import StartFailure

W1, W2 = (witness(f"w.example/{number}", number)[0].vkey for number in (1, 2))
URL = "https://witness.example/w"


def _write(folder: Path, log: str) -> str:
    file = folder / "server.hcl"
    file.write_text(f'storage "inmem" {{}}\nlistener "tcp" {{ tls_disable = true }}\n{log}\n')
    return str(file)


def _read(folder: Path, log: str) -> LogSettings:
    return load([_write(folder, log)], {}).log


def _warnings(folder: Path, log: str) -> list[str]:
    found = validate([_write(folder, log)])
    assert found.problems == ()
    return [text for text in found.warnings if "inmem" not in text]


def _witness(name: str, key: str, url: str = URL) -> str:
    return f'witness "{name}" {{\n url = "{url}"\n key = "{key}"\n}}\n'


def test_witnesses_are_read_with_their_quorum(tmp_path: Path) -> None:
    log = _read(
        tmp_path,
        f'log {{\n path = "/l"\n signing_key = "hsm-a:log"\n quorum = 2\n witness_interval = "1m"\n{_witness("n", W1)}{_witness("s", W2)}}}',
    )
    assert (log.quorum, log.witness_interval, log.signing_key) == (2, 60, "hsm-a:log")
    assert [(one.name, one.url, one.key, one.tls_ca_file) for one in log.witnesses] == [
        ("n", URL, W1, ""),
        ("s", URL, W2, ""),
    ]


def test_it_is_read_how_long_records_are_kept(tmp_path: Path) -> None:
    log = _read(tmp_path, 'log {\n path = "/l"\n retention_min = "4320h"\n retention_max = "8760h"\n}')
    assert (log.retention_min, log.retention_max) == (180 * 86_400, 365 * 86_400)
    log = _read(tmp_path, 'log {\n path = "/l"\n retention_min = "1h"\n}')
    assert (log.retention_min, log.retention_max) == (3600, 0)


def test_without_a_stanza_there_is_no_witness(tmp_path: Path) -> None:
    log = _read(tmp_path, "")
    assert (log.witnesses, log.quorum, log.witness_interval, log.signing_key) == ((), 1, 30, "")


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            'retention_min = "2h"\n retention_max = "1h"\n',
            "retention_max must be at least retention_min",
        ),
        (_witness("n", W1, "ftp://x"), "witness n needs url: the URL must begin with https:// or http://"),
        ('witness "n" {\n key = "x"\n}\n', "witness n needs url"),
        (_witness("n", "x"), "witness n needs key: a verifier key is"),
        (_witness("n", ed25519("vault.example/log").verifier.vkey), "witness n: key is that of a log"),
        (_witness("n", W1) + _witness("n", W2), "another witness has the name n"),
        (_witness("n", W1) + _witness("s", W1), "another witness has this key"),
        (_witness("n", W1) + "quorum = 2\n", "quorum is 2, and there are 1 witnesses"),
        (_witness("n", W1) + "witness_interval = 0\n", "witness_interval must be at least 1 s"),
        ('signing_key = "hsm"\n', "signing_key must be CONFIG:KEY"),
        ('signing_key = "hsm:a:b"\n', "signing_key must be CONFIG:KEY"),
        ('witness "n" {\n url = "https://x"\n port = 1\n}\n', "unknown setting port in witness"),
        ("witness {\n}\n", 'witness must have the form `witness "NAME" { … }`'),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, log: str, words: str) -> None:
    with pytest.raises(StartFailure) as refused:
        _read(tmp_path, f'log {{\n path = "/l"\n{log}}}')
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (f'path = "/l"\n{_witness("n", W1, "http://witness.example")}', "witness n is asked without TLS"),
        ('path = "/l"\nquorum = 1\n', "quorum: no effect without a witness"),
        (
            _witness("n", W1) + 'signing_key = "a:b"\n',
            "signing_key and witness: no effect, as no log is kept without path",
        ),
        (
            f'path = "/l"\nwitness "n" {{\n url = "http://127.0.0.1:1"\n key = "{W1}"\n tls_ca_file = "/x"\n}}\n',
            "witness n: tls_ca_file has no effect without https",
        ),
    ],
)
def test_what_is_doubtful_is_told(tmp_path: Path, log: str, words: str) -> None:
    (told,) = _warnings(tmp_path, f"log {{\n{log}}}")
    assert words in told


def test_a_witness_on_this_machine_needs_no_tls(tmp_path: Path) -> None:
    assert _warnings(tmp_path, f'log {{\n path = "/l"\n{_witness("n", W1, "http://127.0.0.1:8380")}}}') == []

# SPDX-License-Identifier: EUPL-1.2
"""Signatures of reports: made and looked at by the suite, and by OpenSSH alone as the documentation says."""

import json
import subprocess
from pathlib import Path

import pytest

from esa_conformance.cli import main
from esa_conformance.report.signing import NAMESPACE, signature_of
from tests.conformance_suite.made import all_results, report

_DOCS = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A report with a signature of `release@example.org`, whose key stands in `signers`."""
    for name in ("key", "other"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / name)]
        subprocess.run(words, check=True)
        public = (tmp_path / f"{name}.pub").read_text(encoding="utf-8")
        line = f'release@example.org namespaces="{NAMESPACE}" {public}'
        (tmp_path / f"signers-{name}").write_text(line, encoding="utf-8")
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report(tmp_path, all_results())), encoding="utf-8")
    assert main(["sign", str(path), "--key", str(tmp_path / "key")]) == 0
    return path


def _verified(signed: Path, signers: str = "") -> int:
    more = ["--signers", str(signed.with_name(signers))] if signers else []
    return main(["verify", str(signed), *more])


def test_a_signature_of_an_allowed_signer_is_good(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verified(signed, "signers-key") == 0
    assert "by release@example.org\n" in capsys.readouterr().out


def test_a_key_that_nobody_vouches_for_is_named_by_its_digest(
    signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _verified(signed) == 0
    said = capsys.readouterr().out
    assert "signed with ED25519 key SHA256:" in said
    assert "release@example.org" not in said


def test_a_signature_of_somebody_else_is_none(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verified(signed, "signers-other") == 1
    assert "signature: it is of nobody whom" in capsys.readouterr().out


def test_a_report_that_was_signed_and_changed_is_found_without_a_list_too(
    signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed.write_text(signed.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert (_verified(signed), _verified(signed, "signers-key")) == (1, 1)
    assert capsys.readouterr().out == "signature: it is not of this report\n" * 2


def test_a_signature_for_something_else_is_none(signed: Path) -> None:
    """The same key and file, as an author of commits signs."""
    signature_of(signed).unlink()
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(signed.with_name("key")), str(signed)]
    subprocess.run(words, check=True)
    assert (_verified(signed), _verified(signed, "signers-key")) == (1, 1)


@pytest.mark.parametrize(
    "text", ["", "nothing\n", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"]
)
def test_what_is_no_signature_is_none(text: str, signed: Path) -> None:
    signature_of(signed).write_text(text, encoding="utf-8")
    assert (_verified(signed), _verified(signed, "signers-key")) == (1, 1)


def test_who_wants_a_signature_does_not_take_a_report_without(
    signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signature_of(signed).unlink()
    assert _verified(signed, "signers-key") == 1
    assert _verified(signed) == 0
    assert "and not signed" in capsys.readouterr().out


def test_without_the_tool_a_signature_is_not_called_good(
    signed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(signed.parent))
    assert _verified(signed) == 0
    said = capsys.readouterr()
    assert "not looked at" in said.err
    assert "signed" not in said.out
    assert _verified(signed, "signers-key") == 3
    assert main(["sign", str(signed), "--key", str(signed.with_name("key"))]) == 3


@pytest.mark.parametrize("key", ["none", "signers-key", "-Y"])
def test_what_is_no_key_signs_nothing(key: str, signed: Path) -> None:
    signature_of(signed).unlink()
    assert main(["sign", str(signed), f"--key={signed.with_name(key)}"]) == 3
    assert not signature_of(signed).exists()


def test_only_a_report_is_signed(signed: Path) -> None:
    other = signed.with_name("other.json")
    other.write_text("{}", encoding="utf-8")
    assert main(["sign", str(other), "--key", str(signed.with_name("key"))]) == 2


def test_openssh_alone_checks_it_as_the_documentation_says(signed: Path) -> None:
    (command,) = [line for line in _DOCS.splitlines() if line.startswith("ssh-keygen -Y verify")]
    command = command.replace("allowed_signers", "signers-key")
    done = subprocess.run(["bash", "-c", command], cwd=signed.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Good" in done.stdout

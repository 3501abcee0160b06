# SPDX-License-Identifier: EUPL-1.2
"""A signature is of the bytes that are used, by a key that was tried before it was needed."""

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from vaultctl.errors import CommandError
from vaultctl.port.archive.signature import NAMESPACE, Signer, check, signature_of

_MANIFEST = b'{"a":1}'
_KILLED = """
import os, sys
from vaultctl.port.archive.signature import Signer
with Signer(sys.argv[1], asks=True):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for name in ("key", "other"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
        (tmp_path / f"{name}.signers").write_text(f"{name} {(tmp_path / f'{name}.pub').read_text()}")
    return tmp_path


def test_only_an_allowed_signer_of_this_manifest_is_one(keys: Path) -> None:
    signers = str(keys / "key.signers")
    with pytest.raises(CommandError, match="not signed"):
        check(_MANIFEST, keys, signers)
    with Signer(str(keys / "key"), asks=False) as signer:
        signature_of(keys).write_bytes(signer.sign(_MANIFEST))
    assert check(_MANIFEST, keys, signers).startswith("key (ED25519 key SHA256:")
    with pytest.raises(CommandError, match="no good signature"):
        check(_MANIFEST, keys, str(keys / "other.signers"))
    with pytest.raises(CommandError, match="no good signature"):
        check(_MANIFEST + b" ", keys, signers)


def test_what_is_no_signature_of_an_archive_is_none(keys: Path) -> None:
    signers = str(keys / "key.signers")
    for content in (b"", b"-----BEGIN SSH SIGNATURE-----\n"):
        signature_of(keys).write_bytes(content)
        with pytest.raises(CommandError, match="no good signature"):
            check(_MANIFEST, keys, signers)
    signature_of(keys).write_bytes(b" " * 70_000)
    with pytest.raises(CommandError, match="more than 65536 bytes"):
        check(_MANIFEST, keys, signers)
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", f"trial.{NAMESPACE}", "-f", str(keys / "key")]
    done = subprocess.run(words, input=_MANIFEST, capture_output=True, check=True)
    signature_of(keys).write_bytes(done.stdout)
    with pytest.raises(CommandError, match="no good signature"):
        check(_MANIFEST, keys, signers)


def test_a_key_that_cannot_sign_is_known_before(keys: Path) -> None:
    for name in ("none", "key.signers"):
        with pytest.raises(CommandError, match="did not sign"), Signer(str(keys / name), asks=True):
            pass


@pytest.fixture
def locked(keys: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key whose passphrase is told by a program, which notes each time that it is asked."""
    key, asked = keys / "locked", keys / "asked"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "correct horse", "-f", str(key)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    (keys / "locked.signers").write_text(f"locked {(keys / 'locked.pub').read_text()}")
    tells = keys / "tells"
    tells.write_text(f"#!/bin/sh\necho asked >> {asked}\necho correct horse\n")
    tells.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(tells))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("TMPDIR", str(keys))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return key


def _agents(place: Path) -> list[str]:
    """The commands of all agents that have their socket somewhere."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().split(b"\0")
            if words[0].endswith(b"ssh-agent") and any(
                word.startswith(str(place).encode()) for word in words
            ):
                found.append(file.parent.name)
    return found


def _wait_until_gone(place: Path) -> None:
    """An agent looks every ten seconds whether its command is there (ssh-agent.c)."""
    patience = time.monotonic() + 60
    while _agents(place):
        assert time.monotonic() < patience
        time.sleep(0.05)


def test_a_passphrase_is_asked_for_once_and_nothing_keeps_the_key(keys: Path, locked: Path) -> None:
    with Signer(str(locked), asks=True) as signer:
        assert (keys / "asked").read_text() == "asked\n"
        assert len(_agents(keys)) == 1
        for manifest in (b"other", _MANIFEST):
            signature_of(keys).write_bytes(signer.sign(manifest))
    assert check(_MANIFEST, keys, str(keys / "locked.signers")).startswith("locked ")
    assert (keys / "asked").read_text() == "asked\n"
    _wait_until_gone(keys)
    assert not list(keys.glob("vaultctl-*"))


def test_no_passphrase_is_asked_for_where_nobody_may_be_asked(keys: Path, locked: Path) -> None:
    with pytest.raises(CommandError, match="did not sign"), Signer(str(locked), asks=False):
        pass
    assert not (keys / "asked").exists()


def test_who_is_killed_leaves_no_key_behind(keys: Path, locked: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(locked)], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert (keys / "asked").read_text() == "asked\n"
    _wait_until_gone(keys)

# SPDX-License-Identifier: EUPL-1.2
"""A signature is of the bytes that are used, by a key that was tried before it was needed."""

import subprocess
from pathlib import Path

import pytest

from vaultctl.errors import CommandError
from vaultctl.port.archive.signature import NAMESPACE, check, sign, signature_of, try_key

_MANIFEST = b'{"a":1}'


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
    signature_of(keys).write_bytes(sign(_MANIFEST, str(keys / "key")))
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
    try_key(str(keys / "key"))
    for name in ("none", "key.signers"):
        with pytest.raises(CommandError, match="did not sign"):
            try_key(str(keys / name))

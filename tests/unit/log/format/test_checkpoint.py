# SPDX-License-Identifier: EUPL-1.2
"""Checkpoints: one text for one size and root, believed by its signatures."""

import binascii

import pytest

from tests.unit.log.format.signing import ed25519, p256
from tests.unit.log.format.trees import VECTORS
from vault.log.format.checkpoint import (
    BadCheckpoint,
    Checkpoint,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from vault.log.format.note import UnknownSigner
from vault.log.format.note_key import BadSignature, KeyKind, Verifier
from vault.log.format.tree import EMPTY_ROOT

_ED25519 = Verifier.parse(VECTORS["ed25519_vkey"])
_P256 = Verifier(_ED25519.name, KeyKind.ECDSA, binascii.a2b_base64(VECTORS["p256_spki"]))
_ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize("size", [4, 7])
@pytest.mark.parametrize("keys", [[_ED25519], [_P256], [_ED25519, _P256]])
def test_the_checkpoints_of_the_vectors_are_verified(size: int, keys: list[Verifier]) -> None:
    raw = VECTORS[f"checkpoint{size}"].encode()
    signed = open_checkpoint(raw, keys)
    root = bytes.fromhex(VECTORS[f"root{size}"])
    assert signed.checkpoint == Checkpoint(origin="vault.example.eu/log/1", size=size, root=root)
    assert (signed.note, len(signed.signatures)) == (raw, len(keys))


def test_an_edited_checkpoint_is_refused_and_so_is_another_logs() -> None:
    raw = VECTORS["checkpoint7"].encode()
    with pytest.raises(BadSignature, match="invalid signature"):
        open_checkpoint(raw.replace(b"\n7\n", b"\n8\n"), [_ED25519])
    with pytest.raises(UnknownSigner, match="no known signature"):
        open_checkpoint(raw, [_ED25519.under("vault.example.eu/log/2")])


def test_what_is_signed_is_read_as_it_was() -> None:
    signers = [ed25519("a/b"), p256("a/b")]
    for checkpoint in (
        Checkpoint(origin="a/b", size=0, root=EMPTY_ROOT),
        Checkpoint(origin="a/b", size=(1 << 63) - 1, root=EMPTY_ROOT, extensions=("one", "two")),
    ):
        raw = sign_checkpoint(checkpoint, signers)
        assert open_checkpoint(raw, [signer.verifier for signer in signers]).checkpoint == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a\n1\n",
        f"a\n1\n{_ROOT}",
        f"\n1\n{_ROOT}\n",
        f"a\n1\n{_ROOT}\n\n",
        f"a\n1\n{_ROOT}\n\nmore\n",
        f"a\n01\n{_ROOT}\n",
        f"a\n-1\n{_ROOT}\n",
        f"a\n+1\n{_ROOT}\n",
        f"a\n\u0661\n{_ROOT}\n",
        f"a\n1 \n{_ROOT}\n",
        f"a\n{1 << 63}\n{_ROOT}\n",
        f"a\n1\n{_ROOT[:-2]}\n",
        f"a\n1\n{_ROOT[:-2]}V=\n",
        f"{'a' * 1025}\n1\n{_ROOT}\n",
    ],
)
def test_another_text_is_none_of_a_checkpoint(text: str) -> None:
    with pytest.raises(BadCheckpoint):
        parse_checkpoint(text)

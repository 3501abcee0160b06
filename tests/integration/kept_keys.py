# SPDX-License-Identifier: EUPL-1.2
"""Every key of a vault that does not run, read through a token; and how a secret may be written down."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from hsm.key_slot import KeySlot
from nhi.biscuit.issue import key_store
from nhi.biscuit.offline.keys import RootKey
from nhi.biscuit.records import store
from nhi.biscuit.records.model import Approver, IssuerKey
from nhi.identity.records import oidc as model
from nhi.jose import signing_key as signing
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, core_prefix
from vault.framework.keys.safe import Safe
from vault.seal.records import seal_store
from vault.seal.records.sealwrap import PREFIX, SealWrap
from vault.seal.records.slots import Slots
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.ids import ROOT_ID, MountId
from vault.values.times import Millis


async def kept_keys(database: Path, slot: KeySlot, mount: str) -> dict[str, bytes]:
    """Return the vault's keys by what they are; `mount` is the uuid of its `nhi` mount.

    Of private keys it is the number or seed, which every encoding of them has in it.
    """
    storage = SqliteStorage.open(database)
    try:
        config = await seal_store.read_config(storage.reader())
        assert config is not None
        slots = Slots(enabled=[slot])
        root_key = await seal_store.unwrap_newest(storage.reader(), config, slot)
        recovery = await seal_store.unwrap_recovery(storage.reader(), config, slots)
        barrier = Barrier(storage, now=lambda: Millis(0), random=bytes)
        await barrier.load(root_key)
        found = {"root key": root_key.reveal(), "recovery key": recovery.reveal()}
        found |= {f"key {n} of the keyring": term.key.reveal() for n, term in barrier.keyring.terms.items()}
        wraps = SealWrap(storage, barrier, slots, now=int, random=bytes)
        core = barrier.reader(ROOT_ID, core_prefix(ROOT_ID))
        for path in await core.scan(PREFIX):
            value = await wraps.get(core, ROOT_ID, path)
            assert value is not None
            found[path] = value
        safe = Safe(wraps, barrier, bytes)
        return found | await _in_safe(core, safe, core.mount(MountId(mount)))
    finally:
        await storage.close()


async def _in_safe(core: ReadView, safe: Safe, mount: ReadView) -> dict[str, bytes]:
    """The private halves that are kept in the safe: of issuers, approvers, and identity tokens."""
    kinds: dict[str, IssuerKey | Approver] = {f"issuer key {key.kid}": key for key in await store.keys(mount)}
    for name in await mount.list(store.APPROVERS):
        boss = await store.approver(mount, name)
        assert boss is not None
        kinds[f"key of approver {name}"] = boss
    found = {name: _number(await key_store.from_safe(safe, key)) for name, key in kinds.items()}
    for name in await core.list(model.KEYS):
        named = await model.named_key(core, name)
        assert named is not None
        for pair in (named.current, named.following):
            if pair is not None:
                private = load_der_private_key((await signing.opened(safe, pair)).private, None)
                assert isinstance(private, ec.EllipticCurvePrivateKey)
                found[f"key {pair.kid} of identity tokens"] = _number(private)
    return found


def _number(key: RootKey) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.private_bytes_raw()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


def spellings(secret: bytes) -> Iterator[bytes]:
    """How a secret may be written down, alone or within something longer, such as DER in PEM."""
    yield secret
    for digits in (secret.hex(), secret.hex().upper()):
        yield digits.encode()
        for between in (":", " "):
            yield between.join(re.findall("..", digits)).encode()
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret)
        whole = text[-(-before * 4 // 3) : (before + len(secret)) * 4 // 3]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))
    yield repr(secret).strip("b'\"").encode()
    yield repr(list(secret)).strip("[]").encode()
    yield ",".join(map(str, secret)).encode()
    yield str(int.from_bytes(secret, "big")).encode()


def holds(text: bytes, secret: bytes) -> bool:
    """Whether a text has the secret in any spelling, broken into lines or not."""
    joined = re.sub(rb"\r|\n|\\r|\\n", b"", text)
    return any(spelling in text or spelling in joined for spelling in spellings(secret))

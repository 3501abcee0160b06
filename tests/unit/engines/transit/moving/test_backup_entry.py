# SPDX-License-Identifier: EUPL-1.2
"""A version in a backup is the version that was written, or is refused."""

from typing import Any, Final

import msgspec
import pytest

from tests.unit.engines.transit.test_signatures import made, opened
from vault.engines.transit.keys.key_types import KEY_TYPES, Material
from vault.engines.transit.keys.model import TransitKey
from vault.engines.transit.moving.backup_entry import material, written
from vault.engines.transit.moving.backup_form import NUMBERS, Entry, RsaPublic
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed

KINDS: Final = [name for name in NUMBERS if name not in {"rsa-3072", "rsa-4096"}]
PAIRS: Final = [name for name in KINDS if KEY_TYPES[name].pair]


def entry_of(name: str) -> tuple[Entry, Material]:
    _, version = made(name)
    entry = written(TransitKey(id="x", type=name), version)
    return entry, Material(version.secret, version.mac, version.stored.public)


@pytest.mark.parametrize("name", KINDS)
def test_a_version_comes_back_as_it_was(name: str) -> None:
    entry, before = entry_of(name)
    assert material(KEY_TYPES[name], entry, Entropy()) == before


@pytest.mark.parametrize("name", PAIRS)
def test_a_public_half_comes_back_alone(name: str) -> None:
    _, before = entry_of(name)
    _, version = opened(name, Material(b"", before.mac, before.public))
    entry = written(TransitKey(id="x", type=name), version)
    found = material(KEY_TYPES[name], entry, Entropy())
    assert (found.secret, found.public) == (b"", before.public)


def test_a_version_from_before_there_were_keys_for_macs_gets_one() -> None:
    entry, before = entry_of("aes256-gcm96")
    found = material(KEY_TYPES["aes256-gcm96"], msgspec.structs.replace(entry, hmac_key=None), Entropy())
    assert found.secret == before.secret
    assert len(found.mac) == 32
    assert found.mac != before.mac


def other(name: str) -> Entry:
    return entry_of(name)[0]


def _broken() -> dict[str, tuple[str, Any]]:
    rsa, p256, ed, ml = (entry_of(name)[0] for name in ("rsa-2048", "ecdsa-p256", "ed25519", "mldsa-44"))
    aes, mac = entry_of("aes256-gcm96")[0], entry_of("hmac")[0]
    replace = msgspec.structs.replace
    whole = rsa.rsa_key
    assert whole is not None
    assert ed.key is not None
    assert ml.key is not None

    def with_rsa(**parts: Any) -> Entry:
        return replace(rsa, rsa_key=replace(whole, **parts))

    p, q = whole.Primes
    return {
        "no key": ("aes256-gcm96", replace(aes, key=None)),
        "short key": ("aes256-gcm96", replace(aes, key=bytes(31))),
        "short key of MACs": ("aes256-gcm96", replace(aes, hmac_key=bytes(31))),
        "long key of MACs": ("aes256-gcm96", replace(aes, hmac_key=bytes(513))),
        "two keys of MACs": ("hmac", replace(mac, hmac_key=bytes(32))),
        "nothing of RSA": ("rsa-2048", replace(rsa, rsa_key=None)),
        "three primes": ("rsa-2048", with_rsa(Primes=(p, q, 3))),
        "no primes": ("rsa-2048", with_rsa(Primes=())),
        "prime 0": ("rsa-2048", with_rsa(Primes=(0, q))),
        "prime 1": ("rsa-2048", with_rsa(Primes=(1, q))),
        "negative prime": ("rsa-2048", with_rsa(Primes=(-p, -q))),
        "one prime twice": ("rsa-2048", with_rsa(Primes=(p, p))),
        "exponent 0": ("rsa-2048", with_rsa(D=0)),
        "another exponent": ("rsa-2048", with_rsa(D=whole.D + 2)),
        "even public exponent": ("rsa-2048", with_rsa(E=65536)),
        "another modulus": ("rsa-2048", with_rsa(N=whole.N + 2)),
        "huge modulus": ("rsa-2048", with_rsa(N=1 << 8192)),
        "huge public half": (
            "rsa-2048",
            replace(rsa, rsa_key=None, rsa_public_key=RsaPublic(N=1 << 8192, E=3)),
        ),
        "no modulus": ("rsa-2048", replace(rsa, rsa_key=None, rsa_public_key=RsaPublic(N=0, E=3))),
        "another size": ("rsa-3072", rsa),
        "no point": ("ecdsa-p256", replace(p256, ec_x=None)),
        "a point beside the curve": ("ecdsa-p256", replace(p256, ec_y=(p256.ec_y or 0) + 1)),
        "another's point": ("ecdsa-p256", replace(p256, ec_d=other("ecdsa-p256").ec_d)),
        "private half 0": ("ecdsa-p256", replace(p256, ec_d=0)),
        "negative private half": ("ecdsa-p256", replace(p256, ec_d=-1)),
        "private half beyond the order": ("ecdsa-p256", replace(p256, ec_d=1 << 300)),
        "another curve": ("ecdsa-p384", p256),
        "half a seed": ("ed25519", replace(ed, key=ed.key[:16])),
        "seed alone": ("ed25519", replace(ed, key=ed.key[:32])),
        "another's public half behind it": ("ed25519", replace(ed, key=ed.key[:32] + bytes(32))),
        "another's public half": ("ed25519", replace(ed, public_key=other("ed25519").public_key)),
        "public half in no base64": ("ed25519", replace(ed, key=None, public_key="%")),
        "no public half": ("ed25519", replace(ed, key=None, public_key="")),
        "long public half": ("ed25519", replace(ed, key=None, public_key="A" * 9000)),
        "something behind the seed": ("mldsa-44", replace(ml, key=ml.key + b"x")),
        "another level": ("mldsa-44", other("mldsa-65")),
    }


BROKEN: Final = _broken()


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_key_of_its_kind_is_refused(what: str) -> None:
    name, entry = BROKEN[what]
    with pytest.raises(Malformed):
        material(KEY_TYPES[name], entry, Entropy())

# SPDX-License-Identifier: EUPL-1.2
"""What national guidance says of keys."""

import msgspec
import pytest

from vault.engines.system.crypto.rules import Profile, findings, post_quantum
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose
from vault.values.times import DAY, Millis, Seconds

NOW = Millis(1_790_000_000_000)
_DAY = DAY * 1000
AES = KeyUse(
    name="x", purpose=Purpose.BARRIER, protects="all", algorithm="aes-256-gcm", bits=256, location="memory"
)


def key(**facts: object) -> KeyUse:
    return msgspec.structs.replace(AES, **facts)


def warned(profile: Profile, use: KeyUse) -> list[str]:
    return [found.reason for found in findings(profile, use, NOW) if found.level == "warning"]


@pytest.mark.parametrize(
    ("algorithm", "bits", "expected"),
    [
        ("aes-256-gcm", 256, "pq"),
        ("hmac-sha-256", 256, "pq"),
        ("hmac-sha-256", 128, "none"),
        ("aes-128-gcm", 128, "none"),
        ("chacha20-poly1305", 256, "pq"),
        ("xchacha20-poly1305", 256, "pq"),
        ("ml-dsa-65", 0, "pq"),
        ("hpke-mlkem768-x25519", 0, "hybrid"),
        ("aes-256-gcm", 0, "none"),
        ("totp", 0, "none"),
        ("ed25519", 256, "none"),
        ("ecdsa-p256-sha256", 256, "none"),
        ("rsa-4096", 4096, "none"),
        ("", 0, "none"),
    ],
)
def test_what_withstands_a_quantum_computer(algorithm: str, bits: int, expected: str) -> None:
    assert post_quantum(key(algorithm=algorithm, bits=bits)) == expected


@pytest.mark.parametrize("profile", Profile)
def test_a_long_symmetric_key_has_no_findings(profile: Profile) -> None:
    assert findings(profile, AES, NOW) == []


@pytest.mark.parametrize("profile", Profile)
def test_a_short_symmetric_key_is_told_of_by_anssi(profile: Profile) -> None:
    found = findings(profile, key(algorithm="aes-128-gcm", bits=128), NOW)
    assert [one.level for one in found] == (["information"] if profile is Profile.ANSSI else [])
    assert findings(profile, key(algorithm="ml-dsa-65", bits=0), NOW) == []


@pytest.mark.parametrize(
    ("bits", "anssi", "bsi"),
    [(2048, True, True), (2999, True, True), (3000, True, False), (3072, False, False)],
)
def test_how_long_rsa_has_to_be(bits: int, anssi: bool, bsi: bool) -> None:
    rsa = key(algorithm=f"rsa-{bits}", bits=bits)
    assert [bool(warned(profile, rsa)) for profile in (Profile.ANSSI, Profile.BSI)] == [anssi, bsi]


def test_what_is_said_of_classical_signatures_is_information_with_its_source() -> None:
    for profile in Profile:
        found = findings(profile, key(algorithm="ecdsa-p256-sha256"), NOW)
        assert found and {one.level for one in found} == {"information"}
        assert all(one.source for one in found)
    sources = [one.source for one in findings(Profile.ANSSI, key(algorithm="ed25519"), NOW)]
    assert len(sources) == 3 and any("RecoSecuLongTerme" in source for source in sources)


def test_dates_of_the_bsi_are_those_of_a_document_that_has_them() -> None:
    for algorithm in ("rsa-oaep-sha256", "rsa-3072"):
        (found,) = findings(Profile.BSI, key(algorithm=algorithm, bits=3072), NOW)
        assert "2030" in found.reason and "2035" in found.reason and "roadmap" in found.source
    assert findings(Profile.BSI, key(algorithm="aes-256-gcm"), NOW) == []


@pytest.mark.parametrize(("days", "warns"), [(-1, True), (29, True), (31, False)])
def test_a_certificate_that_ends_soon_or_has_ended_is_warned_of(days: int, warns: bool) -> None:
    assert bool(warned(Profile.BSI, key(ends=Millis(NOW + days * _DAY)))) == warns


@pytest.mark.parametrize(("days", "warns"), [(1, False), (3, True)])
def test_a_key_that_is_older_than_its_period_is_warned_of(days: int, warns: bool) -> None:
    old = key(created=Millis(NOW - 9 * _DAY), rotated=Millis(NOW - days * _DAY), period=Seconds(2 * DAY))
    assert bool(warned(Profile.ANSSI, old)) == warns
    assert warned(Profile.ANSSI, msgspec.structs.replace(old, state=KeyState.RETIRED)) == []


def test_a_key_that_cannot_be_reached_is_warned_of() -> None:
    assert warned(Profile.ANSSI, key(state=KeyState.UNREACHABLE)) != []

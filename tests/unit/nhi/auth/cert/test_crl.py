# SPDX-License-Identifier: EUPL-1.2
"""Revocation lists: those that were given, and those that are fetched and may come from anybody on the way."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from nhi.auth.cert import crl as lists
from tests.unit.nhi.auth.cert.test_login import ALICE, CA, OTHER, UNMET, crl, opened
from tests.unit.nhi.auth.house import CORE, play
from tests.unit.outbound.authority import Authority
from tests.unit.outbound.authority import name as authority_name
from tests.unit.outbound.service import service
from vault.barrier.stored import raw
from vault.framework.errors import Malformed
from vault.outbound import kept
from vault.values.ids import ROOT_ID


def test_sl_30_a_certificate_on_a_list_is_refused_also_where_the_list_is_old() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        for days in (1, -1):
            listed = crl(ALICE.certificate.serial_number, days=days).decode()
            await house.good("POST", "auth/cert/crls/c", {"crl": listed})
            assert (await house.show(ALICE)).error == UNMET
            assert (await house.show(CA.issue("alice"))).status == 200
        await house.good("DELETE", "auth/cert/crls/c")
        assert (await house.show(ALICE)).status == 200

    play(scenario)


@pytest.mark.loopback
def test_sl_30_a_fetched_list_that_is_out_of_date_is_fetched_anew_or_nobody_logs_in() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        async with service() as one:
            one.body = crl(5, days=-1)
            await house.good("POST", "auth/cert/crls/c", {"url": one.url})
            assert "out of date" in (await house.show(ALICE)).error
            one.status = "500 Oops"
            house.time.sleep(kept.PAUSE + 1)
            answer = await house.show(ALICE)
            assert (answer.status, answer.error) == (400, "failed to fetch CRL: it answers with status 500")
            one.status, one.body = "200 OK", crl(ALICE.certificate.serial_number)
            house.time.sleep(kept.PAUSE + 1)
            assert (await house.show(ALICE)).error == UNMET
            assert (await house.show(CA.issue("bob"))).status == 200

    play(scenario)


@pytest.mark.loopback
def test_sl_30_a_fetched_list_is_signed_by_the_authority_that_it_names_and_stays_that_authoritys() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        inner = Authority("inner", CA)
        leaf, namesake = inner.issue("bob"), CA.issue("trusted")
        async with service() as one:

            async def keep(body: bytes) -> str:
                one.body = body
                return (await house("POST", "auth/cert/crls/c", {"url": one.url})).text.decode()

            assert "not signed by the authority" in await keep(crl(5, signer=OTHER))
            assert await keep(crl(5, named=OTHER, signer=OTHER)) == ""  # nobody here knows its key
            assert "of another authority" in await keep(crl(5, days=-1))
            await house.good("DELETE", "auth/cert/crls/c")
            assert await keep(crl(5, days=-1)) == ""
            for forged in (crl(signer=OTHER), crl(named=OTHER, signer=OTHER)):
                one.body = forged
                house.time.sleep(kept.PAUSE + 1)
                assert (await house.show(ALICE)).error.startswith("failed to fetch CRL: it is ")
            one.body = crl(signer=namesake)
            house.time.sleep(kept.PAUSE + 1)
            assert (await house.show(namesake)).error.startswith("failed to fetch CRL: it is ")
            one.body = crl()
            house.time.sleep(kept.PAUSE + 1)
            assert (await house.show(ALICE)).status == 200
            assert "of another authority" in await keep(crl(days=-1, named=inner, signer=inner))
            await house.good("DELETE", "auth/cert/crls/c")
            assert await keep(crl(days=-1, named=inner, signer=inner)) == ""
            one.body = crl(named=inner, signer=OTHER)
            assert (await house.show(leaf, "", inner)).error.startswith("failed to fetch CRL: it is ")
            one.body = crl(leaf.certificate.serial_number, named=inner, signer=inner)
            house.time.sleep(kept.PAUSE + 1)
            assert (await house.show(leaf, "", inner)).error == UNMET
            assert (await house.show(inner.issue("eve"), "", inner)).status == 200

    play(scenario)


@pytest.mark.loopback
def test_sl_30_a_list_of_an_authority_that_may_sign_none_is_none() -> None:
    """RFC 5280, section 6.3.3 (f): who has a key usage signs lists only if it says so."""

    async def scenario() -> None:
        house = await opened()
        mute = Authority("mute", lists=False)
        leaf = mute.issue("alice")
        await house.trust(certificate=mute.pem)
        async with service() as one:
            one.body = crl(5, named=mute, signer=mute)
            refused = await house("POST", "auth/cert/crls/c", {"url": one.url})
            assert refused.error == f"failed to fetch CRL: it is {lists.NO_SIGNER}"
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(lists, "_signs_lists", lambda _: True)
                one.body = crl(5, days=-1, named=mute, signer=mute)
                await house.good("POST", "auth/cert/crls/c", {"url": one.url})
            one.body = crl(5, named=mute, signer=mute)
            answer = await house.show(leaf)
            assert (answer.status, answer.error) == (400, f"failed to fetch CRL: it is {lists.NO_SIGNER}")

    play(scenario)


@pytest.mark.loopback
def test_a_list_that_was_fetched_anew_is_kept_and_not_fetched_at_each_login() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        async with service() as one:
            one.body = crl(5, days=-1)
            await house.good("POST", "auth/cert/crls/c", {"url": one.url})
            one.body = crl(5, 6)
            assert [(await house.show(ALICE)).status for _ in range(3)] == [200] * 3
            assert len(one.seen) == 2
            kept = (await house.good("GET", "auth/cert/crls/c")).data["serials"]
            assert kept == {"5": {}, "6": {}}

    play(scenario)


def point(**changes: Any) -> x509.IssuingDistributionPoint:
    """What a list says of the certificates that it is about."""
    whole: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**whole, **changes})


def shard(number: int) -> x509.IssuingDistributionPoint:
    """The part of an authority's certificates with this number."""
    return point(full_name=[x509.UniformResourceIdentifier(f"http://ca.test/{number}.crl")])


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
SERIAL = ALICE.certificate.serial_number
OF_OTHERS = "for another part of the authority's certificates than the list before"
LIES: dict[str, tuple[bytes, str]] = {
    "a delta list": (
        crl(number=13, since=1, extensions=[(x509.DeltaCRLIndicator(12), True)]),
        "a delta list, which is no list by itself",
    ),
    "of authorities only": (
        crl(number=13, since=1, extensions=[(point(only_contains_ca_certs=True), True)]),
        OF_OTHERS,
    ),
    "of attributes only": (
        crl(number=13, since=1, extensions=[(point(only_contains_attribute_certs=True), True)]),
        OF_OTHERS,
    ),
    "for some reasons": (
        crl(
            number=13,
            since=1,
            extensions=[(point(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})), True)],
        ),
        OF_OTHERS,
    ),
    "another shard": (crl(number=13, since=1, extensions=[(shard(2), True)]), OF_OTHERS),
    "unknown and critical": (
        crl(number=13, since=1, extensions=[(UNKNOWN, True)]),
        "a list with a critical extension that is not known here",
    ),
    "unknown and critical at an entry": (
        crl(7, number=13, since=1, of_entries=[(UNKNOWN, True)]),
        "a list with a critical extension that is not known here",
    ),
    "a lower number": (crl(number=1, since=1), "older than the list before"),
    "no number": (crl(since=1), "older than the list before"),
    "an earlier time": (crl(number=13, since=30), "older than the list before"),
}
"""Lists that the same authority has signed, none of which is the list after number 12, and why not."""


@pytest.mark.loopback
@pytest.mark.parametrize("name", LIES)
def test_sl_30_no_other_list_of_the_same_authority_stands_in_the_place_of_a_fetched_one(name: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        lie, reason = LIES[name]
        async with service() as one:
            one.body = crl(SERIAL, number=12, days=-1)
            await house.good("POST", "auth/cert/crls/c", {"url": one.url})
            one.body = lie
            for _ in range(2):
                answer = await house.show(ALICE)
                assert (answer.status, answer.error) == (400, f"failed to fetch CRL: it is {reason}")
                house.time.sleep(kept.PAUSE + 1)
            kept_ = (await house.good("GET", "auth/cert/crls/c")).data["serials"]
            assert kept_ == {str(SERIAL): {}}
            one.body = crl(SERIAL, number=13, since=1)
            assert (await house.show(ALICE)).error == UNMET

    play(scenario)


@pytest.mark.loopback
@pytest.mark.parametrize("given", ["crl", "url"])
@pytest.mark.parametrize("name", LIES)
def test_sl_30_nor_of_one_that_was_given_until_that_is_deleted(name: str, given: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        lie, reason = LIES[name]
        async with service() as one:
            one.body = lie
            await house.good("POST", "auth/cert/crls/c", {"crl": crl(SERIAL, number=12).decode()})
            body = {"crl": lie.decode()} if given == "crl" else {"url": one.url}
            answer = await house("POST", "auth/cert/crls/c", body)
            assert answer.status == 400
            assert f"it is {reason}" in answer.error
            assert (await house.show(ALICE)).error == UNMET
            await house.good("POST", "auth/cert/crls/c", {"crl": crl(SERIAL, number=12).decode()})
            await house.good("DELETE", "auth/cert/crls/c")
            whole = reason in {OF_OTHERS, "older than the list before"}
            assert (await house("POST", "auth/cert/crls/c", body)).status == (204 if whole else 400)

    play(scenario)


@pytest.mark.loopback
def test_sl_30_a_list_that_was_seen_counts_whoever_was_refused_by_it_and_there_is_no_way_back() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        async with service() as one:
            one.body = crl(5, number=11, days=-1)
            await house.good("POST", "auth/cert/crls/c", {"url": one.url})
            one.body = crl(5, SERIAL, number=12, days=0.5)
            assert (await house.show(ALICE)).error == UNMET
            house.time.sleep(86_400)
            one.body = crl(5, number=11, days=9)
            assert "it is older than the list before" in (await house.show(ALICE)).error
            old = crl(SERIAL, 6, number=13, days=0.6)
            one.body = old
            house.time.sleep(kept.PAUSE + 1)
            assert "it is out of date" in (await house.show(ALICE)).error
            assert "6" in (await house.good("GET", "auth/cert/crls/c")).data["serials"]

    play(scenario)


def test_lists_of_the_parts_of_an_authoritys_certificates_count_side_by_side() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        bob = CA.issue("bob")
        for number, revoked in ((1, SERIAL), (2, bob.certificate.serial_number)):
            listed = crl(revoked, number=7, extensions=[(shard(number), True)])
            await house.good("POST", f"auth/cert/crls/c{number}", {"crl": listed.decode()})
        assert (await house.show(ALICE)).error == UNMET
        assert (await house.show(bob)).error == UNMET
        assert (await house.show(CA.issue("eve"))).status == 200

    play(scenario)


@pytest.mark.loopback
def test_a_list_whose_time_is_over_is_asked_for_once_for_all_who_need_it() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        async with service() as one:
            one.body = crl(5, days=-1)
            await house.good("POST", "auth/cert/crls/c", {"url": one.url})
            one.seen.clear()
            one.status = "500 Oops"
            answers = await asyncio.gather(*(house.show(ALICE) for _ in range(50)))
            assert {answer.status for answer in answers} == {400}
            assert len(one.seen) == 1
            one.status, one.body = "200 OK", crl(5)
            house.time.sleep(kept.PAUSE + 1)
            answers = await asyncio.gather(*(house.show(ALICE) for _ in range(50)))
            assert {answer.status for answer in answers} == {200}
            assert len(one.seen) == 2

    play(scenario)


@pytest.mark.loopback
def test_sl_30_nobody_whose_authority_is_another_makes_an_unsigned_list_count() -> None:
    """Before, a login with another authority's certificate kept the list that came, signed by whomever."""

    async def scenario() -> None:
        house = await opened()
        await house.trust()
        inner = Authority("inner", CA)
        async with service() as one:
            one.body = crl(5, days=-1, named=inner, signer=inner)
            await house.good("POST", "auth/cert/crls/c", {"url": one.url})
            one.body = crl(named=inner, signer=OTHER)
            one.seen.clear()
            assert (await house.show(ALICE)).status == 200
            assert one.seen == []
            assert (await house.good("GET", "auth/cert/crls/c")).data["serials"] == {"5": {}}

    play(scenario)


@pytest.mark.loopback
def test_a_list_that_was_kept_before_its_number_was_looked_at_counts_and_is_followed_by_any() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        mount = next(one.entry for one in house.router.root if one.entry.path == "auth/cert/")
        async with service() as one:
            before = {
                "serials": [str(SERIAL)],
                "url": one.url,
                "next_update": house.time.millis() // 1000 + 9,
            }
            async with house.barrier.write(ROOT_ID, CORE + mount.prefix) as view:
                await view.put("crl/c", raw(msgspec.msgpack.encode(before)))
            assert (await house.show(ALICE)).error == UNMET
            house.time.sleep(10)
            one.body = crl(SERIAL, number=12, days=0.5, extensions=[(shard(1), True)])
            assert (await house.show(ALICE)).error == UNMET
            house.time.sleep(86_400)
            one.body = crl(number=13, days=9, extensions=[(shard(2), True)])
            assert OF_OTHERS in (await house.show(ALICE)).error

    play(scenario)


def _many(*serials: int) -> Sequence[int]:
    return [*range(1 << 60, (1 << 60) + 2500), *serials]


def test_a_long_list_is_kept_in_parts_and_gone_as_a_whole() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        mount = next(one.entry for one in house.router.root if one.entry.path == "auth/cert/")
        folder = house.barrier.reader(ROOT_ID, CORE).sub(mount.prefix)

        async def parts() -> int:
            found = 0
            for generation in await folder.list("crl-part/c/"):
                found += len(await folder.list(f"crl-part/c/{generation}"))
            return found

        await house.good("POST", "auth/cert/crls/c", {"crl": crl(*_many(SERIAL), number=1).decode()})
        assert await parts() == 3
        shown = json.loads((await house.good("GET", "auth/cert/crls/c")).text)
        assert len(shown["data"]["serials"]) == 2501
        assert (await house.show(ALICE)).error == UNMET
        assert (await house.show(CA.issue("bob"))).status == 200
        first = CA.issue("first", serial=1 << 60)
        assert (await house.show(first)).error == UNMET
        await house.good("POST", "auth/cert/crls/c", {"crl": crl(*_many(), number=2).decode()})
        assert await parts() == 3
        assert (await house.show(ALICE)).status == 200
        await house.good("POST", "auth/cert/crls/c", {"crl": crl(5, number=3).decode()})
        assert await parts() == 0
        await house.good("POST", "auth/cert/crls/c", {"crl": crl(*_many(), number=4).decode()})
        await house.good("DELETE", "auth/cert/crls/c")
        assert await parts() == 0

    play(scenario)


def _list_of(key: Any, algorithm: Any, **options: Any) -> tuple[bytes, x509.Certificate]:
    """A list, and the certificate of the authority that has signed it with this key."""
    now, named = datetime.now(UTC), authority_name("of another kind")
    certificate = (
        x509.CertificateBuilder(named, named, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, algorithm, **options)
    )
    listed = x509.CertificateRevocationListBuilder(named, now, now + timedelta(days=1)).sign(
        key, algorithm, **options
    )
    return listed.public_bytes(Encoding.DER), certificate


RSA = rsa.generate_private_key(65_537, 2048)
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "RSA": (RSA, hashes.SHA256(), {}),
    "RSA-PSS": (RSA, hashes.SHA256(), {"rsa_padding": PSS}),
    "ECDSA": (ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), {}),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate(), None, {}),
    "Ed448": (ed448.Ed448PrivateKey.generate(), None, {}),
}


@pytest.mark.parametrize("pem", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_list_is_signed_by_the_key_of_its_authority_of_whatever_kind(name: str, pem: bool) -> None:
    key, algorithm, options = KINDS[name]
    listed, authority = _list_of(key, algorithm, **options)
    if pem:
        listed = x509.load_der_x509_crl(listed).public_bytes(Encoding.PEM)
    else:
        forged = listed[:-4] + bytes(4)
        with pytest.raises(Malformed, match="not signed"):
            lists.read(forged, "", [authority])
    assert lists.read(listed, "", [authority]).kept.issuer == authority.subject.public_bytes()
    for other in KINDS:
        if other.partition("-")[0] != name.partition("-")[0]:
            with pytest.raises(Malformed, match="not signed"):
                lists.read(listed, "", [_list_of(KINDS[other][0], KINDS[other][1])[1]])


@pytest.mark.parametrize("text", [b"", b"zz", b"-----BEGIN X509 CRL-----\nzz", b"\x30\x03\x02\x01\x00"])
def test_what_is_no_list_is_said_to_be_none(text: bytes) -> None:
    with pytest.raises(Malformed, match="failed to parse CRL"):
        lists.read(text, "", [CA.certificate])


def test_a_list_costs_in_proportion_to_its_length() -> None:
    def seconds(count: int) -> float:
        listed = crl(*range(1 << 60, (1 << 60) + count))
        begin = time.process_time()
        assert len(lists.read(listed, "", [CA.certificate]).serials) == count
        return time.process_time() - begin

    seconds(100)
    assert seconds(8000) < 10 * seconds(2000) + 0.05

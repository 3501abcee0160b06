# SPDX-License-Identifier: EUPL-1.2
"""Revocation lists: those that were given, and those that are fetched and may come from anybody on the way."""

import pytest

from tests.unit.nhi.auth.house import play
from tests.unit.nhi.auth.test_cert import ALICE, CA, OTHER, UNMET, crl, opened
from tests.unit.outbound.authority import Authority
from tests.unit.outbound.service import service


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
            answer = await house.show(ALICE)
            assert (answer.status, answer.error) == (400, "failed to fetch CRL: it answers with status 500")
            one.status, one.body = "200 OK", crl(ALICE.certificate.serial_number)
            assert (await house.show(ALICE)).error == UNMET
            one.body = crl(5)
            assert (await house.show(ALICE)).status == 200

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
            assert await keep(crl(5, days=-1)) == ""
            for forged in (crl(signer=OTHER), crl(named=OTHER, signer=OTHER)):
                one.body = forged
                assert (await house.show(ALICE)).error.startswith("failed to fetch CRL: it is ")
            one.body = crl(signer=namesake)
            assert (await house.show(namesake)).error.startswith("failed to fetch CRL: it is ")
            one.body = crl()
            assert (await house.show(ALICE)).status == 200
            assert await keep(crl(days=-1, named=inner, signer=inner)) == ""
            one.body = crl(named=inner, signer=OTHER)
            assert (await house.show(leaf, "", inner)).error.startswith("failed to fetch CRL: it is ")
            one.body = crl(leaf.certificate.serial_number, named=inner, signer=inner)
            assert (await house.show(leaf, "", inner)).error == UNMET
            assert (await house.show(inner.issue("eve"), "", inner)).status == 200

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

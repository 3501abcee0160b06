# SPDX-License-Identifier: EUPL-1.2
"""Logins with certificates: whom a role trusts, what it demands, what was revoked, and what a token is bound to."""

import asyncio
import io
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from nhi.auth.cert.config import ConfigEngine
from nhi.auth.cert.crl_routes import CrlEngine, RevocationLists
from nhi.auth.cert.login import LoginEngine, renewal
from nhi.auth.cert.ocsp import Ocsp
from tests.calls import fill_call
from tests.clocks import MovedClock
from tests.unit.nhi.auth.house import LONGEST, Answer, AuthHouse, auth, play
from tests.unit.outbound.authority import Authority, Leaf
from tests.unit.outbound.service import service
from tests.unit.token.house import DEFAULT
from vault.engines.token.engine import TokenEngine
from vault.framework.call import Call
from vault.framework.reply import Reply
from vault.framework.route_table import RouteTable
from vault.framework.telemetry.log import Log
from vault.mount.table import Backend, Catalog
from vault.outbound import kept
from vault.outbound.fetch import Fetcher
from vault.outbound.places import Places
from vault.token.issue import LoginIssuer, Renewals
from vault.token.lifetime import LifetimeLimits
from vault.values.times import Seconds

WRONG = "invalid certificate or no client certificate supplied"
UNMET = "no chain matching all constraints could be found for this login certificate"
CA, OTHER = Authority("trusted"), Authority("other")
NOW = datetime.now(UTC)
ALICE = CA.issue(
    "alice",
    names=[
        x509.DNSName("a.example"),
        x509.RFC822Name("a@mail.example"),
        x509.UniformResourceIdentifier("spiffe://x/a"),
    ],
    units=["eng", "ops"],
    extensions=[x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.45"), b"\x0c\x05hello")],
)


class Door:
    """The pipeline, reached with a certificate."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.certificate = b""
        self.intermediates: Sequence[bytes] = ()

    async def handle(self, call: Call) -> Reply[object] | None:
        fill_call(call, certificate=self.certificate, intermediates=self.intermediates)
        reply: Reply[object] | None = await self._inner.handle(call)
        return reply


class CertHouse(AuthHouse):
    """`AuthHouse`, with auth/cert and the machine's time, which certificates are made by."""

    async def begin(self) -> "CertHouse":
        await self.start()
        fetcher = Fetcher(Places(["127.0.0.0/8"]), _resolve)
        self.time = MovedClock(time.time_ns())
        self.lists = RevocationLists(fetcher, self.barrier, self.time, self.entropy)
        limits = LifetimeLimits(default=Seconds(DEFAULT), longest=Seconds(LONGEST))
        issuer = LoginIssuer(self.tokens, self.batch, self.clock, limits, self._config)
        engines = (
            ConfigEngine(Seconds(LONGEST)),
            CrlEngine(self.lists),
            LoginEngine(issuer, self.lists, Ocsp(fetcher, self.time, Log(stream=io.StringIO())), self.time),
        )
        token = TokenEngine(
            self.tokens,
            self.batch,
            self.policies,
            self.barrier,
            self.clock,
            limits,
            Renewals(self._find, {"cert": renewal}),
        )
        known = self.router.catalog
        self.router.catalog = Catalog(
            known._secrets,
            {
                **known._auth,
                "cert": Backend(engines, RouteTable(engines)),
                "token": Backend([token], RouteTable([token])),
            },
        )
        self.front = Door(self.pipeline)
        self.pipeline = self.front  # type: ignore[assignment]  # it is asked for nothing but `handle`
        await self.router.drop(None)
        await self.good("POST", "sys/auth/cert", {"type": "cert"})
        return self

    async def trust(self, name: str = "r", certificate: str = CA.pem, **fields: object) -> None:
        """Write a role anew."""
        await self.good("DELETE", f"auth/cert/certs/{name}")
        await self.good("POST", f"auth/cert/certs/{name}", {"certificate": certificate, **fields})

    async def show(self, leaf: Leaf | None, name: str = "", *between: Leaf) -> Answer:
        """Log in with a certificate, and what is sent with it."""
        self.front.certificate = leaf.der if leaf is not None else b""
        self.front.intermediates = [one.der for one in between]
        return await self("POST", "auth/cert/login", {"name": name} if name else {}, token="")

    async def renew(self, token: str, leaf: Leaf | None) -> Answer:
        """Renew a token, showing a certificate."""
        self.front.certificate = leaf.der if leaf is not None else b""
        return await self("POST", "auth/token/renew-self", {}, token=token)


def _resolve(host: str) -> Sequence[str]:
    return ["127.0.0.1"]


async def opened() -> CertHouse:
    """Return a vault, open, with auth/cert."""
    return await CertHouse().begin()


def test_a_certificate_of_a_trusted_authority_logs_in_and_the_token_says_which_it_was() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust(token_policies="p", allowed_metadata_extensions="1.2.3.45,1.2.3.99")
        made = auth(await house.show(ALICE))
        assert made["policies"] == ["default", "p"]
        assert made["metadata"]["common_name"] == "alice"
        assert made["metadata"]["cert_name"] == "r"
        assert made["metadata"]["serial_number"] == str(ALICE.certificate.serial_number)
        assert made["metadata"]["1-2-3-45"] == "hello"
        assert made["metadata"]["authority_key_id"].count(":") == 19
        entry = await house.entry(made["client_token"])
        assert entry is not None
        assert entry.display_name == "cert-r"

    play(scenario)


def test_a_path_is_found_through_the_certificates_that_came_along_and_ends_at_a_trusted_one() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        first = Authority("first", CA)
        second = Authority("second", first)
        leaf = second.issue("bob")
        auth(await house.show(leaf, "", second, first))
        auth(await house.show(leaf, "", first, ALICE, OTHER, second))
        for between in ((), (second,), (first,), (OTHER, second)):
            assert (await house.show(leaf, "", *between)).error == WRONG
        forged = Authority("first", OTHER)
        assert (await house.show(forged.issue("bob"), "", forged, OTHER)).error == WRONG
        assert (await house.show(leaf, "", second, forged)).error == WRONG
        auth(await house.show(Authority("signs", first), "", first))  # it says nothing of purposes
        await house.good("POST", "auth/cert/crls/c", {"crl": crl(first.certificate.serial_number).decode()})
        assert (await house.show(leaf, "", second, first)).error == UNMET

    play(scenario)


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        (None, "no client certificate found"),
        (OTHER.issue("alice"), WRONG),
        (CA.issue("alice", until=NOW - timedelta(days=1)), WRONG),
        (CA.issue("alice", since=NOW + timedelta(days=1)), WRONG),
        (CA.issue("alice", server=True), WRONG),
        (Authority("trusted").issue("alice"), WRONG),
    ],
)
def test_a_certificate_that_nobody_trusts_is_refused(leaf: Leaf | None, reason: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        answer = await house.show(leaf)
        assert (answer.status, answer.error) == (400, reason)

    play(scenario)


@pytest.mark.parametrize("names", [b"\x30\x02\xa3\x00", b"\x05\x00", b"zz"], ids=("a-kind", "a-type", "junk"))
def test_a_certificate_whose_names_cannot_be_read_is_refused(names: bytes) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        said = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), names)
        answer = await house.show(CA.issue("alice", extensions=[said]))
        assert (answer.status, answer.error) == (400, WRONG)

    play(scenario)


def test_a_leaf_does_not_sign_for_others() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust()
        pretender = Authority.__new__(Authority)
        pretender.certificate, pretender.key = ALICE.certificate, ALICE.key
        assert (await house.show(pretender.issue("root"))).error == WRONG
        await house.trust(certificate=ALICE.pem)
        assert (await house.show(pretender.issue("root"))).error == WRONG

    play(scenario)


def test_sl_29_a_pinned_certificate_is_compared_whole() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust(certificate=ALICE.pem)
        assert (await house.show(ALICE)).status == 200
        serial = ALICE.certificate.serial_number
        forged = [
            OTHER.issue("alice", serial=serial),
            Authority("trusted").issue("alice", serial=serial, units=["eng", "ops"]),
            CA.issue("alice", serial=serial),
            CA.issue("alice", key=ALICE.key),
        ]
        for leaf in forged:
            assert (await house.show(leaf)).error == WRONG
        await house.trust(certificate=ALICE.pem, allowed_common_names="bob")
        assert (await house.show(ALICE)).error == WRONG
        old = CA.issue("alice", until=NOW - timedelta(days=1))
        await house.trust(certificate=old.pem)
        assert (await house.show(old)).error == WRONG

    play(scenario)


DEMANDS: list[tuple[str, list[str], list[str]]] = [
    (
        "allowed_names",
        ["alice", "a.example", "a@mail.example", "*.example"],
        ["bob", "spiffe://x/a", "ali?e", "eng"],
    ),
    ("allowed_common_names", ["alice", "al*"], ["a.example", "ALICE", "lice"]),
    ("allowed_dns_sans", ["a.example", "*.example"], ["alice", "b.example"]),
    ("allowed_email_sans", ["a@mail.example", "*@mail.example"], ["a.example"]),
    ("allowed_uri_sans", ["spiffe://x/*"], ["spiffe://y/*", "spiffe://x"]),
    ("allowed_organizational_units", ["eng", "o*"], ["hr"]),
    ("required_extensions", ["1.2.3.45:hello", "1.2.3.45:he*"], ["1.2.3.45:h", "1.2.3.46:*", "hello"]),
]


def _one(field: str, values: list[str]) -> dict[str, Any]:
    return {field: values}


@pytest.mark.parametrize("demand", DEMANDS)
@pytest.mark.parametrize("certificate", [CA.pem, ALICE.pem])
def test_sl_37_every_demand_holds_for_authorities_and_pinned_certificates_alike(
    demand: tuple[str, list[str], list[str]], certificate: str
) -> None:
    async def scenario() -> None:
        house = await opened()
        field, good, bad = demand
        for value in good:
            await house.trust(certificate=certificate, **_one(field, [value]))
            assert (await house.show(ALICE)).status == 200, value
        for value in bad:
            await house.trust(certificate=certificate, **_one(field, [value]))
            unmet = UNMET if certificate == CA.pem else WRONG
            assert (await house.show(ALICE)).error == unmet, value
        await house.trust(certificate=certificate, **_one(field, [good[0]]))
        assert (await house.show(CA.issue("nobody"))).error in {UNMET, WRONG}

    play(scenario)


def test_a_name_chooses_a_role_and_without_one_the_first_that_fits_is_taken() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust("a", allowed_common_names="bob", token_policies="a")
        await house.trust("b", token_policies="b")
        await house.trust("c", token_policies="c")
        assert auth(await house.show(ALICE))["policies"] == ["b", "default"]
        assert auth(await house.show(ALICE, "C"))["policies"] == ["c", "default"]
        assert (await house.show(ALICE, "a")).error == UNMET
        assert (await house.show(ALICE, "none")).error == WRONG

    play(scenario)


def test_sl_31_a_renewal_shows_the_same_certificate_and_not_another_of_its_owner() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust(token_ttl="1h")
        token = auth(await house.show(ALICE))["client_token"]
        assert (await house.renew(token, ALICE)).status == 200
        assert (await house.renew(token, None)).error == "no client certificate found"
        for leaf in (CA.issue("alice"), CA.issue("alice", key=ALICE.key), OTHER.issue("alice")):
            answer = await house.renew(token, leaf)
            assert (answer.status, "not matching client identity" in answer.error) == (500, True)
        await house.good("POST", "auth/cert/config", {"disable_binding": True})
        assert (await house.renew(token, None)).status == 200
        await house.trust(token_policies="more")
        assert "policies have changed" in (await house.renew(token, ALICE)).error
        await house.good("DELETE", "auth/cert/certs/r")
        assert (await house.renew(token, ALICE)).status == 204

    play(scenario)


def crl(
    *serials: int,
    days: float = 1,
    named: Authority = CA,
    signer: Leaf = CA,
    since: float = 9,
    number: int | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    of_entries: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """A revocation list that names an authority, `signer`'s in truth, made `since` days ago."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(named.certificate.subject)
        .last_update(NOW - timedelta(days=since))
        .next_update(NOW + timedelta(days=days))
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
        for extension, critical in of_entries:
            revoked = revoked.add_extension(extension, critical=critical)
        builder = builder.add_revoked_certificate(revoked.build())
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def response(
    signer: Leaf,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    *,
    leaf: Leaf = ALICE,
    issuer: Leaf = CA,
    hours: int = 1,
    chain: Sequence[Leaf] = (),
) -> bytes:
    """An OCSP response."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf.certificate,
        issuer=issuer.certificate,
        algorithm=hashes.SHA256(),
        cert_status=status,
        this_update=NOW - timedelta(hours=9),
        next_update=NOW + timedelta(hours=hours),
        revocation_time=NOW if revoked else None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if chain:
        builder = builder.certificates([one.certificate for one in chain])
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def appointed(by: Authority, purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.OCSP_SIGNING) -> Leaf:
    """A responder's certificate."""
    made = by.issue("responder")
    builder = (
        x509.CertificateBuilder()
        .subject_name(made.certificate.subject)
        .issuer_name(by.certificate.subject)
        .public_key(made.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )
    return Leaf(builder.sign(by.key, hashes.SHA256()), made.key)


def _unsuccessful() -> bytes:
    made = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    return made.public_bytes(Encoding.DER)


GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
RESPONDER, STRANGER = appointed(CA), appointed(OTHER)
PLAIN = appointed(CA, ExtendedKeyUsageOID.CLIENT_AUTH)
BELIEVED: list[tuple[str, Callable[[], bytes], bool]] = [
    ("the authority calls it good", lambda: response(CA), True),
    ("a responder that it appointed calls it good", lambda: response(RESPONDER, chain=[RESPONDER]), True),
    ("it was revoked", lambda: response(CA, REVOKED), False),
    ("it is not known", lambda: response(CA, UNKNOWN), False),
    ("the answer is old", lambda: response(CA, hours=-1), False),
    ("the answer is about another certificate", lambda: response(CA, leaf=CA.issue("bob")), False),
    ("the answer is about another authority", lambda: response(OTHER, issuer=OTHER), False),
    ("a stranger has signed", lambda: response(OTHER), False),
    ("a stranger's responder has signed", lambda: response(STRANGER, chain=[STRANGER]), False),
    ("a certificate that is no responder's has signed", lambda: response(PLAIN, chain=[PLAIN]), False),
    ("a certificate without purposes was sent along", lambda: response(CA, chain=[OTHER]), False),
    ("a client has signed", lambda: response(ALICE, chain=[ALICE]), False),
    ("it tries later", _unsuccessful, False),
    ("it is no answer", lambda: b"zz", False),
    ("it is empty", lambda: b"", False),
]


@pytest.mark.loopback
@pytest.mark.parametrize("case", BELIEVED, ids=lambda case: case[0].replace(" ", "-"))
def test_sl_30_what_ocsp_does_not_call_good_is_refused(case: tuple[str, Callable[[], bytes], bool]) -> None:
    async def scenario() -> None:
        house = await opened()
        _, answer, good = case
        async with service() as one:
            await house.trust(ocsp_enabled=True, ocsp_servers_override=one.url)
            one.body = answer()
            shown = await house.show(ALICE)
            assert (shown.status == 200) is good, shown.error
            if not good:
                assert shown.error.startswith(UNMET)

    play(scenario)


@pytest.mark.loopback
def test_sl_30_a_responder_that_cannot_be_asked_lets_nobody_in_unless_the_role_says_so() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.trust(ocsp_enabled=True)
        assert (await house.show(ALICE)).error == f"{UNMET}; no OCSP responder URL"
        async with service() as one:
            one.status = "500 Oops"
            await house.trust(ocsp_enabled=True, ocsp_servers_override=one.url)
            assert "no OCSP responder says" in (await house.show(ALICE)).error
            await house.trust(ocsp_enabled=True, ocsp_servers_override=one.url, ocsp_fail_open=True)
            assert (await house.show(ALICE)).status == 200
            one.status, one.body = "200 OK", response(CA, REVOKED)
            house.time.sleep(kept.PAUSE + 1)
            assert (await house.show(ALICE)).error == f"{UNMET}; the certificate is revoked"

    play(scenario)


@pytest.mark.loopback
def test_a_responder_is_asked_once_for_all_who_show_a_certificate_and_not_at_once_after_a_failure() -> None:
    async def scenario() -> None:
        house = await opened()
        async with service() as one:
            await house.trust(ocsp_enabled=True, ocsp_servers_override=one.url)
            for status, body, let_in in (("500 Oops", b"", 400), ("200 OK", response(CA), 200)):
                one.status, one.body = status, body
                one.seen.clear()
                answers = await asyncio.gather(*(house.show(ALICE) for _ in range(20)))
                assert {answer.status for answer in answers} == {let_in}
                assert len(one.seen) == 1
                house.time.sleep(kept.PAUSE + 1)
            one.body = response(CA, REVOKED)
            assert (await house.show(ALICE)).status == 400

    play(scenario)


@pytest.mark.loopback
def test_where_all_responders_are_asked_all_must_agree() -> None:
    async def scenario() -> None:
        house = await opened()
        async with service() as one, service() as two:
            both: dict[str, Any] = {"ocsp_enabled": True, "ocsp_servers_override": [one.url, two.url]}
            one.body, two.body = response(CA), response(CA, REVOKED)
            await house.trust(**both)
            assert (await house.show(ALICE)).status == 200
            await house.trust(**both, ocsp_query_all_servers=True)
            assert (await house.show(ALICE)).error == f"{UNMET}; the certificate is revoked"
            two.body = b"zz"
            assert "no OCSP responder says" in (await house.show(ALICE)).error
            two.body = response(CA)
            house.time.sleep(kept.PAUSE + 1)
            assert (await house.show(ALICE)).status == 200

    play(scenario)

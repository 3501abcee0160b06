# SPDX-License-Identifier: EUPL-1.2
"""cert: settings, roles and revocation lists, and what a login without a certificate is told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.conformance.scenario import Scenario, delete, get, lst, patch, post
from tests.conformance.scenarios.jwt import mount
from tests.unit.outbound.authority import Authority

CA, OTHER = Authority("one"), Authority("other")
LEAF = CA.issue("alice")
R = "auth/cert-roles/certs/"
C = "auth/cert-roles/config"
CONFIGS: list[dict[str, object]] = [
    {},
    {"ocsp_cache_size": 1},
    {"ocsp_cache_size": 100_001},
    {"ocsp_cache_size": 10},
    {"disable_binding": True},
    {"enable_identity_alias_metadata": True},
    {"disable_binding": False, "unknown": 1},
]
ROLES: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"certificate": "zz"}, ""),
    ({"certificate": CA.pem}, ""),
    ({"certificate": CA.pem + OTHER.pem}, ""),
    ({"certificate": LEAF.pem}, ""),
    ({"certificate": CA.issue("server", server=True).pem}, ""),
    ({"certificate": CA.pem, "allowed_names": "a,b", "allowed_common_names": ["c*"]}, ""),
    (
        {"certificate": CA.pem, "allowed_dns_sans": "a", "allowed_email_sans": "b", "allowed_uri_sans": "c"},
        "",
    ),
    ({"certificate": CA.pem, "allowed_organizational_units": "a,b", "display_name": "dn"}, ""),
    ({"certificate": CA.pem, "required_extensions": "1.2.3:zz", "allowed_metadata_extensions": "1.2.3"}, ""),
    ({"certificate": CA.pem, "required_extensions": "zz"}, ""),
    ({"certificate": CA.pem, "ocsp_enabled": True, "ocsp_servers_override": "http://x,http://y"}, ""),
    ({"certificate": CA.pem, "ocsp_fail_open": True, "ocsp_query_all_servers": True}, ""),
    ({"certificate": CA.pem, "token_policies": "P,q", "ttl": "1h", "max_ttl": "2h", "policies": "z"}, ""),
    ({"certificate": CA.pem, "period": "1m", "bound_cidrs": "10.0.0.0/8"}, ""),
    ({"certificate": CA.pem, "token_type": "default-batch"}, "DV-02"),
    ({"certificate": CA.pem, "token_bound_cidrs": "zz"}, "DV-02"),
    ({"certificate": CA.pem, "token_ttl": "2h", "token_max_ttl": "1h"}, ""),
    ({"certificate": CA.pem, "token_max_ttl": "9000h"}, ""),
    ({"certificate": CA.pem, "token_type": "batch", "token_num_uses": 1}, ""),
    ({"certificate": CA.pem, "unknown": 1}, ""),
]
ROLE = [
    mount("cert-roles", "cert"),
    get(C),
    *(one for body in CONFIGS for one in (post(C, body), get(C))),
    delete(C),
    lst(R[:-1]),
    get(R + "w"),
    *(
        one
        for body, known in ROLES
        for one in (delete(R + "w"), post(R + "w", body, divergence=known), get(R + "w"))
    ),
    post(R + "w", {"certificate": CA.pem, "allowed_names": "a"}),
    post(R + "w", {"token_ttl": "1m"}),
    get(R + "w"),
    post(R + "AbC", {"certificate": CA.pem}),
    get(R + "abc"),
    lst(R[:-1]),
    lst(R[:-1] + "?limit=1"),
    post(R + "a%20b", {"certificate": CA.pem}),
    post(R + "a/b", {"certificate": CA.pem}),
    delete(R + "abc"),
    delete(R + "abc"),
    patch(R + "w", {}),
    get("auth/cert-roles/nope"),
]


def crl(
    authority: Authority, *serials: int, days: int = 1, extensions: Sequence[x509.ExtensionType] = ()
) -> str:
    """A revocation list, made so many days ago, whose extensions are critical."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - timedelta(days=days))
        .next_update(now + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


POINT = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
INSTEAD = (
    crl(CA, 7, extensions=[x509.DeltaCRLIndicator(1)]),
    crl(CA, 7, extensions=[x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")]),
    crl(CA, 7, extensions=[POINT]),
    crl(CA, 7, days=30),
)
"""A delta list, one that nobody understands, one of authorities only, and one from before."""
MUTE = Authority("mute", lists=False)
MUTE_LIST = crl(MUTE, 5)
"""A list of an authority that may sign none, as `service.py` hands it out."""
L = "auth/cert-lists/crls/"
LISTS = [
    mount("cert-lists", "cert"),
    lst(L[:-1]),
    get(L + "c"),
    post(L + "c", {}),
    post(L + "c", {"crl": "zz"}, divergence="DV-02"),
    post(L + "c", {"crl": crl(CA, 5, 1 << 100)}),
    get(L + "c"),
    post(L + "c", {"crl": crl(CA, 7), "url": "http://127.0.0.1:1/"}),
    get(L + "c"),
    *(post(L + "c", {"crl": one}, divergence="DV-97") for one in INSTEAD),
    post(L + "none", {"crl": crl(CA)}),
    get(L + "none"),
    post(L + "dead", {"url": "http://127.0.0.1:1/"}, divergence="DV-07"),
    get(L + "dead"),
    post("auth/cert-lists/certs/mute", {"certificate": MUTE.pem}),
    post(L + "mute", {"url": "{service}/list-of-mute"}, divergence="DV-97"),
    delete("auth/cert-lists/certs/mute"),
    delete(L + "mute", divergence="DV-97"),
    post(L + "AbC", {"crl": crl(OTHER, 5)}),
    lst(L[:-1]),
    lst(L[:-1] + "?limit=1"),
    delete(L + "abc"),
    delete(L + "abc"),
    delete(L + "c"),
    get(L + "c"),
    post("auth/cert-lists/login", {}, token=""),
    post("auth/cert-lists/login", {"name": "none"}, token=""),
    post("auth/cert-lists/certs/r", {"certificate": CA.pem}),
    post("auth/cert-lists/login", {"name": "r"}, token=""),
    get("auth/cert-lists/login", token=""),
    lst("auth/cert-lists/login", token=""),
]

SCENARIOS = [
    Scenario("cert", "cert-roles", ROLE),
    Scenario("cert", "cert-lists", LISTS),
]

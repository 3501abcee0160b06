# SPDX-License-Identifier: EUPL-1.2
"""cert: which certificates a role takes, and who is let in with which; they come by a proxy's header."""

from base64 import b64encode
from collections.abc import Collection

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import DAY, NOW, Made, authority, certificate, usage
from tests.conformance.scenario import Scenario, Step, post, step
from tests.conformance.scenarios.auto_unseal import ask

LISTENER = """  x_forwarded_for_authorized_addrs   = ["127.0.0.0/8"]
  x_forwarded_for_client_cert_header = "X-Certificate"
"""
CLIENT, SERVER, ANY, EMAIL = (
    [ExtendedKeyUsageOID.CLIENT_AUTH],
    [ExtendedKeyUsageOID.SERVER_AUTH],
    [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
    [ExtendedKeyUsageOID.EMAIL_PROTECTION],
)


ROOT = authority("root")
OPENED = [
    ask(
        "POST",
        "sys/init",
        {"secret_shares": 1, "secret_threshold": 1},
        save=("top:root_token", "k:keys.0"),
    ),
    ask("POST", "sys/unseal", {"key": "{k}"}),
    post("sys/auth/cert", {"type": "cert"}, token="{top}", settle=204),
]
ENTERED = ("auth.policies", "auth.metadata.common_name", "auth.display_name", "errors")


GONE = step("DELETE", "auth/cert/certs/r", token="{top}")


def role(trusted: str, **fields: object) -> Step:
    """Write the role `r`; what it does not say stays."""
    return post("auth/cert/certs/r", {"certificate": trusted, "policies": "p", **fields}, token="{top}")


def come(leaf: Made, **options: object) -> Step:
    """Log in with a certificate."""
    shown = b64encode(leaf.der).decode()
    headers = {"X-Certificate": shown, "X-Forwarded-For": "192.0.2.7"}
    return post("auth/cert/login", {"name": "r"}, token="", headers=headers, pick=ENTERED, **options)


def at_fault(leaf: Made, faulty: bool) -> Step:
    """Log in with a certificate; with a faulty one, that is OpenBao's own failure."""
    return come(leaf, divergence="DV-07") if faulty else come(leaf)


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
EXPIRED = {"since": NOW - 3 * DAY, "until": NOW - DAY}
FUTURE = {"since": NOW + DAY, "until": NOW + 3 * DAY}
SHAPES: list[dict[str, object]] = [
    {},
    {"keys": usage()},
    {"keys": usage(signature=False)},
    {"purposes": CLIENT},
    {"purposes": SERVER},
    {"purposes": ANY},
    {"purposes": EMAIL},
    {"purposes": [*SERVER, *CLIENT]},
    {"ca": None},
    {"ca": None, "purposes": CLIENT},
    {"ca": None, "purposes": SERVER},
    {"purposes": CLIENT, "critical": UNKNOWN},
    {"purposes": CLIENT, "more": [UNKNOWN]},
    {**EXPIRED},
    {"purposes": CLIENT, **EXPIRED},
    {"purposes": CLIENT, **FUTURE},
    {"purposes": CLIENT, "key": rsa.generate_private_key(65537, 2048)},
    {"purposes": CLIENT, "key": ed25519.Ed25519PrivateKey.generate()},
    {"purposes": CLIENT, "key": ec.generate_private_key(ec.SECP384R1())},
]
"""Certificates that are nobody's authority."""


def shape(number: int) -> Made:
    """One of them, which signed itself."""
    return certificate(f"p{number}", **SHAPES[number])  # type: ignore[arg-type]  # the same words


def issued(number: int, by: Made) -> Made:
    """One of them, which an authority signed."""
    return certificate(f"i{number}", by, **SHAPES[number])  # type: ignore[arg-type]  # the same words


UNSOUND = {11, 13, 14, 15}
"""Those that are refused whoever trusts them: something critical is unknown, or it is not their time."""
UNFIT = {4, 6, 10}
"""Those that are for something else than clients; nobody may pin them."""


def pinned(number: int) -> list[Step]:
    """Pin one of them, and log in with it."""
    leaf = shape(number)
    return [role(leaf.pem), at_fault(leaf, number in UNSOUND)]


PINNED = [*OPENED, *(one for number in range(len(SHAPES)) for one in pinned(number))]
ISSUED = [
    *OPENED,
    role(ROOT.pem),
    *(at_fault(issued(number, ROOT), number in UNSOUND | UNFIT) for number in range(len(SHAPES))),
    come(ROOT),
    come(shape(3)),
]


def below(trusted: str, *leaves: Made, faulty: Collection[int] = ()) -> list[Step]:
    """Let a role trust something, and log in with each; `faulty` says which of them are."""
    return [role(trusted), *(at_fault(leaf, at in faulty) for at, leaf in enumerate(leaves))]


MIDDLE = authority("middle", ROOT)
TWIN = authority("root")
SHORT = authority("short", path=0)
UNDER_SHORT = authority("under", SHORT)
OLD = authority("old", since=NOW - 3 * DAY, until=NOW - DAY)
NEW = authority("new", since=NOW + DAY, until=NOW + 3 * DAY)
NO_SIGNING = certificate("nosign", ca=True, keys=usage(signs=False))
NO_USAGE = certificate("nousage", ca=True)
LENIENT = authority("lenient", basics=False)
SERVERS = authority("servers", purposes=SERVER)
CLIENTS = authority("clients", purposes=CLIENT)
PERMITTED = authority(
    "permitted",
    critical=x509.NameConstraints(permitted_subtrees=[x509.DNSName("ok.example")], excluded_subtrees=None),
)
EXCLUDED = authority(
    "excluded",
    critical=x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[x509.DNSName("no.example")]),
)
NOT_CA = certificate("leaf", ROOT, purposes=CLIENT)
SAYS_NOTHING = certificate("v3-without", ca=None, keys=usage(signs=True))


def leaf(by: Made, common: str = "leaf", **more: object) -> Made:
    """A client's certificate."""
    usual: dict[str, object] = {"purposes": CLIENT, **more}
    return certificate(common, by, **usual)  # type: ignore[arg-type]  # the same words


def dns(*names: str) -> list[x509.GeneralName]:
    """Alternative names."""
    return [x509.DNSName(name) for name in names]


PATHS = [
    *OPENED,
    *below(ROOT.pem, leaf(ROOT), leaf(MIDDLE), leaf(TWIN), leaf(NOT_CA), MIDDLE),
    *below(MIDDLE.pem, leaf(MIDDLE), leaf(ROOT), MIDDLE),
    *below(MIDDLE.pem + ROOT.pem, leaf(MIDDLE), leaf(ROOT)),
    *below(SHORT.pem + UNDER_SHORT.pem, leaf(SHORT), leaf(UNDER_SHORT)),
    *below(OLD.pem, leaf(OLD), OLD, faulty=(0, 1)),
    *below(NEW.pem, leaf(NEW), NEW, faulty=(0, 1)),
    *below(NO_SIGNING.pem, leaf(NO_SIGNING)),
    *below(NO_USAGE.pem, leaf(NO_USAGE)),
    *below(LENIENT.pem, leaf(LENIENT), LENIENT),
    *below(SERVERS.pem, leaf(SERVERS), SERVERS, faulty=(0, 1)),
    *below(CLIENTS.pem, leaf(CLIENTS), CLIENTS),
    *below(
        PERMITTED.pem,
        leaf(PERMITTED),
        leaf(PERMITTED, sans=dns("a.ok.example")),
        leaf(PERMITTED, sans=dns("a.ok.example", "b.example")),
        leaf(PERMITTED, "a.bad.example"),
        faulty=(2,),
    ),
    *below(
        EXCLUDED.pem,
        leaf(EXCLUDED),
        leaf(EXCLUDED, sans=dns("no.example")),
        leaf(EXCLUDED, sans=dns("x.example")),
        faulty=(1,),
    ),
    *below(SAYS_NOTHING.pem, leaf(SAYS_NOTHING), SAYS_NOTHING),
    *below(NOT_CA.pem, NOT_CA, leaf(NOT_CA), certificate("leaf", ROOT, purposes=CLIENT)),
    *below(ROOT.pem + NOT_CA.pem, NOT_CA, leaf(ROOT)),
    *below(leaf(ROOT, key=NOT_CA.key, serial=7).pem, leaf(ROOT, key=NOT_CA.key, serial=7)),
    role("junk"),
    role(""),
    role(ROOT.pem + "junk"),
    role("junk\n" + ROOT.pem),
]

SPEAKING = leaf(
    ROOT,
    "Alice",
    units=["eng", "Ops"],
    sans=[
        x509.DNSName("a.Example"),
        x509.DNSName("*.wild.example"),
        x509.RFC822Name("a@mail.example"),
        x509.UniformResourceIdentifier("spiffe://x/a"),
    ],
    more=[x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.45"), b"\x0c\x05hello")],
)
SILENT = leaf(ROOT, "")
DEMANDS: list[dict[str, object]] = [
    {"allowed_names": one}
    for one in (
        "Alice",
        "alice",
        "A*",
        "*e",
        "*lic*",
        "*",
        "a.Example",
        "a.example",
        "a@mail.example",
        "spiffe://x/a",
        "x,Alice",
    )
]
DEMANDS += [
    {"allowed_common_names": one} for one in ("Alice", "alice", "Al?ce", "[A]lice", "A*e", "a.Example")
]
DEMANDS += [
    {"allowed_dns_sans": one}
    for one in ("a.Example", "a.example", "*.example", "*.Example", "x.wild.example", "*.wild.example", "*")
]
DEMANDS += [
    {"allowed_email_sans": one} for one in ("a@mail.example", "*@mail.example", "A@mail.example", "*")
]
DEMANDS += [
    {"allowed_uri_sans": one}
    for one in ("spiffe://x/a", "spiffe://x/*", "spiffe://*/a", "spiffe://*", "*", "SPIFFE://x/a")
]
DEMANDS += [{"allowed_organizational_units": one} for one in ("eng", "ops", "Ops", "e*", "none,eng", "*")]
DEMANDS += [
    {"required_extensions": one}
    for one in (
        "1.2.3.45:hello",
        "1.2.3.45:h*",
        "1.2.3.45:",
        "1.2.3.45:*",
        "1.2.3.45:Hello",
        "1.2.3.46:*",
        "nonsense",
    )
]
DEMANDS += [
    {"allowed_names": "Alice", "allowed_dns_sans": "none"},
    {"allowed_names": ["*"], "allowed_uri_sans": ["spiffe://x/a"]},
]
NAMES = [
    *OPENED,
    role(ROOT.pem),
    come(SPEAKING),
    at_fault(SILENT, True),
    *(one for demand in DEMANDS for one in (GONE, role(ROOT.pem, **demand), come(SPEAKING))),
    *(one for demand in DEMANDS[:3] for one in (GONE, role(ROOT.pem, **demand), come(SILENT))),
    *(one for demand in DEMANDS[:3] for one in (GONE, role(SPEAKING.pem, **demand), come(SPEAKING))),
]

SCENARIOS = [
    Scenario("cert-logins", name, steps, fresh=True, listener=LISTENER)
    for name, steps in (("pinned", PINNED), ("issued", ISSUED), ("paths", PATHS), ("names", NAMES))
]

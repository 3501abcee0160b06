# SPDX-License-Identifier: EUPL-1.2
"""Receivers prove who they are, and so do devices where they are asked to."""

import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import DAY, NOW, Made, authority, certificate
from tests.log.devices.receivers import HttpReceiver, StreamReceiver, wait_until
from tests.log.devices.site import KINDS, Receiver, Site, check, received, running
from vault.log.forward.settings import DeviceSettings, Kind

pytestmark = pytest.mark.loopback

LOCAL = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
_OTHER = (x509.DNSName("siem.example"),)
PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@pytest.fixture(scope="module")
def ours() -> Made:
    return authority("ours")


def in_file(made: Made, path: Path) -> str:
    """A certificate and its key, in one file."""
    key = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.pem.encode() + key)
    return str(path)


class Secured:
    """A receiver behind TLS, and the device that sends to it."""

    def __init__(
        self, folder: Path, kind: Kind, by: Made, *, trusted: Made | None = None, mutual: bool = False
    ) -> None:
        self.folder, self.kind, self.by = folder, kind, by
        self.names: tuple[x509.GeneralName, ...] = LOCAL
        self.until = NOW + DAY
        self.host = "localhost"
        self.trusted = trusted or by
        self.mutual = mutual
        self.shown = ""

    def receiver(self) -> Receiver:
        """Listen."""
        shown = certificate(
            "receiver", self.by, sans=self.names, purposes=PURPOSES, since=NOW - 2 * DAY, until=self.until
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(in_file(shown, self.folder / "receiver.pem"))
        if self.mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.by.pem)
        return HttpReceiver(tls=context) if self.kind in {"http", "otlp"} else StreamReceiver(tls=context)

    def device(self, receiver: Receiver) -> DeviceSettings:
        """The device, which trusts one authority."""
        (self.folder / "ca.pem").write_text(self.trusted.pem)
        scheme = "https" if self.kind in {"http", "otlp"} else "tls"
        return DeviceSettings(
            kind=self.kind, name="siem", address=f"{scheme}://{self.host}:{receiver.port}", deadline=2.0,
            tls_ca_file=str(self.folder / "ca.pem"), tls_cert_file=self.shown,
        )  # fmt: skip


def refusal(secured: Secured) -> str:
    """Why a receiver gets nothing."""
    receiver = secured.receiver()
    with running(Site(secured.folder / "log", [secured.device(receiver)])) as site:
        site.write(3)
        wait_until(lambda: site.status().state != "healthy", site.status)
        assert site.status().accepted == 0
        assert sum(map(len, received(secured.kind, receiver))) == 0
        return f"{site.status().state}: {site.status().error}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_receiver_that_proves_who_it_is_gets_everything(kind: Kind, tmp_path: Path, ours: Made) -> None:
    secured = Secured(tmp_path, kind, ours)
    receiver = secured.receiver()
    with running(Site(tmp_path / "log", [secured.device(receiver)])) as site:
        site.write(1500)
        site.wait_for_all()
        assert check(received(kind, receiver), 1500) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_for_another_name_is_refused(kind: Kind, tmp_path: Path, ours: Made) -> None:
    secured = Secured(tmp_path, kind, ours)
    secured.names = _OTHER
    assert refusal(secured) == "stuck: the receiver's certificate is for another name"


def test_a_certificate_for_another_address_is_refused(tmp_path: Path, ours: Made) -> None:
    secured = Secured(tmp_path, "syslog", ours)
    secured.host, secured.names = "127.0.0.1", _OTHER
    assert refusal(secured) == "stuck: the receiver's certificate is for another name"


@pytest.mark.parametrize("kind", ["syslog", "otlp"])
def test_a_certificate_of_another_authority_is_refused(kind: Kind, tmp_path: Path, ours: Made) -> None:
    assert refusal(Secured(tmp_path, kind, authority("theirs"), trusted=ours)).startswith(
        "stuck: the receiver's certificate is not from an authority"
    )


def test_a_certificate_that_ended_is_refused(tmp_path: Path, ours: Made) -> None:
    secured = Secured(tmp_path, "socket", ours)
    secured.until = NOW - DAY
    assert "not valid now" in refusal(secured)


def test_a_receiver_without_tls_gets_nothing(tmp_path: Path, ours: Made) -> None:
    secured = Secured(tmp_path, "syslog", ours)
    plain = StreamReceiver()
    with running(Site(tmp_path / "log", [secured.device(plain)])) as site:
        site.write(3)
        wait_until(lambda: site.status().state != "healthy", site.status)
        assert b"esa.kv.read" not in b"".join(map(bytes, plain.received))


@pytest.mark.parametrize("kind", ["syslog", "http"])
def test_a_receiver_that_asks_for_a_certificate_gets_it(kind: Kind, tmp_path: Path, ours: Made) -> None:
    secured = Secured(tmp_path, kind, ours, mutual=True)
    shown = certificate("device", ours, purposes=PURPOSES)
    secured.shown = in_file(shown, tmp_path / "device.pem")
    receiver = secured.receiver()
    with running(Site(tmp_path / "log", [secured.device(receiver)])) as site:
        site.write(3)
        site.wait_for_all()


@pytest.mark.parametrize("kind", ["syslog", "http"])
def test_a_receiver_that_asks_for_a_certificate_takes_nothing_without(
    kind: Kind, tmp_path: Path, ours: Made
) -> None:
    assert refusal(Secured(tmp_path, kind, ours, mutual=True)).startswith("retrying: ")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("tls_ca_file", "the file with the authorities"),
        ("tls_cert_file", "the client certificate or its key"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_read_again(
    setting: str, words: str, tmp_path: Path, ours: Made
) -> None:
    secured = Secured(tmp_path, "socket", ours)
    receiver = secured.receiver()
    settings = secured.device(receiver)
    given = {name: getattr(settings, name) for name in settings.__struct_fields__}
    missing = tmp_path / "missing.pem"
    with running(Site(tmp_path / "log", [DeviceSettings(**{**given, setting: str(missing)})])) as site:
        site.write(3)
        wait_until(lambda: site.status().state == "stuck", site.status)
        assert site.status().error.startswith(words)
        if setting == "tls_ca_file":
            missing.write_text(ours.pem)
        else:
            in_file(certificate("device", ours, purposes=PURPOSES), missing)
        site.wait_for_all()

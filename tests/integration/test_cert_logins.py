# SPDX-License-Identifier: EUPL-1.2
"""Logins with certificates as clients show them: with the path to their authority, and through a proxy."""

from base64 import b64encode
from pathlib import Path

import pytest
import requests
from pytest_socket import enable_socket

from tests.integration.coffre import KINDS, Place, open_server
from tests.integration.processes import PATIENCE
from tests.unit.outbound.authority import Authority, Leaf

ROOT, OTHER = Authority("root"), Authority("other")
MIDDLE = Authority("middle", ROOT)
ALICE = MIDDLE.issue("alice")


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_sends_the_path_to_its_authority_along(kind: str, tmp_path: Path) -> None:
    enable_socket()
    (tmp_path / "clients.pem").write_text(ROOT.pem)
    with open_server(kind, tmp_path, f'tls_client_ca_file = "{tmp_path}/clients.pem"') as place:
        _trust_root(place)
        assert _login(place, tmp_path, ALICE, MIDDLE) == (200, "alice")
        direct = ROOT.issue("bob")
        assert _login(place, tmp_path, direct) == (200, "bob")
        assert _refused(place, tmp_path, ALICE)
        assert _refused(place, tmp_path, OTHER.issue("alice"))
        assert _refused(place, tmp_path, Authority("middle", OTHER).issue("alice"), MIDDLE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_in_a_header_counts_from_an_authorized_proxy_alone(kind: str, tmp_path: Path) -> None:
    enable_socket()
    header = 'x_forwarded_for_client_cert_header = "Client-Cert"\nx_forwarded_for_client_cert_decoders = ["RFC9440"]\n'
    bob = ROOT.issue("bob")
    given = {"Client-Cert": f":{b64encode(bob.der).decode()}:", "X-Forwarded-For": "192.0.2.1"}
    for proxy, status in (("127.0.0.1/32", 200), ("192.0.2.9/32", 400)):
        folder = tmp_path / str(status)
        folder.mkdir()
        with open_server(kind, folder, f'{header}x_forwarded_for_authorized_addrs = ["{proxy}"]') as place:
            _trust_root(place)
            answer = _ask(place, headers=given)
            if status == 200 or kind == "coffre":  # OpenBao believes everybody; its documents say what to add
                assert answer.status_code == status, answer.text
            assert _ask(place).status_code == 400


def _trust_root(place: Place) -> None:
    root = place.client()
    root.sys.enable_auth_method("cert")
    root.write("auth/cert/certs/r", certificate=ROOT.pem)
    root.adapter.close()


def _refused(place: Place, folder: Path, leaf: Leaf, *between: Leaf) -> bool:
    """Whether a certificate gets nobody in: in the handshake, or by the method's own words."""
    try:
        answer = _ask(place, _written(folder, leaf, *between))
    except requests.exceptions.ConnectionError:
        return True
    return answer.status_code == 400


def _login(place: Place, folder: Path, leaf: Leaf, *between: Leaf) -> tuple[int, str]:
    answer = _ask(place, _written(folder, leaf, *between))
    assert answer.status_code == 200, answer.text
    return answer.status_code, answer.json()["auth"]["metadata"]["common_name"]


def _written(folder: Path, leaf: Leaf, *between: Leaf) -> tuple[str, str]:
    certificate, key = leaf.write(folder)
    Path(certificate).write_text(leaf.pem + "".join(one.pem for one in between))
    return certificate, key


def _ask(
    place: Place, cert: tuple[str, str] | None = None, headers: dict[str, str] | None = None
) -> requests.Response:
    return requests.post(
        f"{place.address}/v1/auth/cert/login",
        json={},
        cert=cert,
        headers=headers,
        verify=str(place.authority),
        timeout=PATIENCE,
    )

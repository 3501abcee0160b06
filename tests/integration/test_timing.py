# SPDX-License-Identifier: EUPL-1.2
"""How long a refusal takes does not tell whether a name exists (SL-22).

Names that exist and names that do not are tried in turn, four failures each, as the fifth locks a name. What is
compared does not depend on how busy the machine is: the medians, against how much single requests differ, and in how
many of the pairs the name that exists was the slower one, which is a fair coin's count where nothing can be told.
"""

import http.client
import json
import logging
import random
import ssl
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest
from pytest_socket import enable_socket

from tests.integration.coffre import Place, open_server
from tests.unit.outbound.authority import Authority

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]
PAIRS = 200
_EACH = 4
_MOST = 0.75
"""Share of pairs that no fair coin reaches in 200 throws: seven deviations."""

Attempt = Callable[[str], float]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    """A server of ours that nobody else asks."""
    enable_socket()
    with open_server("coffre", tmp_path_factory.mktemp("timing")) as running:
        yield running


def test_sl_22_a_wrong_password_takes_as_long_as_a_user_that_does_not_exist(ours: Place) -> None:
    names = [f"user{number}" for number in range(PAIRS // _EACH)]
    client = ours.client()
    client.sys.enable_auth_method("userpass")
    for name in names:
        client.write(f"auth/userpass/users/{name}", password="right")
    client.adapter.close()
    with _Line(ours) as line:

        def attempt(name: str) -> float:
            return line.refused(f"/v1/auth/userpass/login/{name}", {"password": "wrong"})

        _indistinguishable("userpass", attempt, names, [name.replace("user", "nobo") for name in names])


def test_sl_22_a_wrong_secret_id_takes_as_long_as_a_role_that_does_not_exist(ours: Place) -> None:
    names = [f"role{number}" for number in range(PAIRS // _EACH)]
    client = ours.client()
    client.sys.enable_auth_method("approle")
    for name in names:
        client.write(f"auth/approle/role/{name}", role_id=name)
        client.write(f"auth/approle/role/{name}/secret-id")
    client.adapter.close()
    with _Line(ours) as line:

        def attempt(name: str) -> float:
            return line.refused("/v1/auth/approle/login", {"role_id": name, "secret_id": "wrong"})

        _indistinguishable("approle", attempt, names, [name.replace("role", "none") for name in names])


def test_sl_22_a_certificate_that_a_role_does_not_trust_takes_as_long_as_a_role_that_does_not_exist(
    tmp_path: Path,
) -> None:
    enable_socket()
    names = [f"role{number}" for number in range(PAIRS // _EACH)]
    trusted, other = Authority("trusted"), Authority("other")
    (tmp_path / "clients.pem").write_text(trusted.pem + other.pem)
    with open_server("coffre", tmp_path, f'tls_client_ca_file = "{tmp_path}/clients.pem"') as place:
        client = place.client()
        client.sys.enable_auth_method("cert")
        for name in names:
            client.write(f"auth/cert/certs/{name}", certificate=trusted.pem)
        client.adapter.close()
        with _Line(place, other.issue("mallory").write(tmp_path)) as line:

            def attempt(name: str) -> float:
                return line.refused("/v1/auth/cert/login", {"name": name})

            _indistinguishable("cert", attempt, names, [name.replace("role", "none") for name in names])


class _Line:
    """One connection that is kept, so that only the server's work is timed."""

    def __init__(self, place: Place, certificate: tuple[str, str] | None = None) -> None:
        at = urlsplit(place.address)
        context = ssl.create_default_context(cafile=place.authority)
        if certificate is not None:
            context.load_cert_chain(*certificate)
        self._connection = http.client.HTTPSConnection(
            at.hostname or "", at.port, context=context, timeout=30
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def refused(self, path: str, body: dict[str, str]) -> float:
        """Send a login that is refused; return the seconds until the refusal was read."""
        content = json.dumps(body)
        begun = time.perf_counter()
        self._connection.request("POST", path, content, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        took = time.perf_counter() - begun
        assert answer.status == 400
        return took


def _indistinguishable(what: str, attempt: Attempt, known: Sequence[str], unknown: Sequence[str]) -> None:
    order = random.Random(7)
    attempt(unknown[0] + "-first")
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(PAIRS):
        pair = ((0, known[number // _EACH]), (1, unknown[number // _EACH]))
        for side, name in pair if order.random() < 0.5 else pair[::-1]:
            taken[side].append(attempt(name))
    apart = abs(statistics.median(taken[0]) - statistics.median(taken[1]))
    noise = max(_spread(times) for times in taken)
    slower = sum(one > other for one, other in zip(*taken, strict=True))
    figures = (
        f"{what}: medians {statistics.median(taken[0]) * 1e3:.3f} and {statistics.median(taken[1]) * 1e3:.3f} ms, "
        f"spread {noise * 1e3:.3f} ms, the name that exists was slower in {slower} of {PAIRS}"
    )
    logging.getLogger(__name__).info(figures)
    assert apart <= noise, figures
    assert (1 - _MOST) * PAIRS <= slower <= _MOST * PAIRS, figures


def _spread(times: Sequence[float]) -> float:
    """The median distance from the median."""
    middle = statistics.median(times)
    return statistics.median(abs(one - middle) for one in times)

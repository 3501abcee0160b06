# SPDX-License-Identifier: EUPL-1.2
"""What is about to be written is said before the first write, and taken back where that one was refused."""

from datetime import timedelta
from email.utils import format_datetime
from http.client import HTTPMessage

import pytest

from vaultctl.errors import ApiError, CommandError
from vaultctl.http.client import Client, Response
from vaultctl.port.ground import clock
from vaultctl.port.ground.server import Server


class _Client(Client):
    """A client whose requests have the given ends, one after the other: a status, 200 for what is done."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)

    def send(self, method: str, path: str, **_: object) -> Response:
        status = self._statuses.pop(0)
        if status >= 400:
            raise ApiError(method, "", path, status=status, errors=[], raw="")
        return Response(status, b"{}", HTTPMessage())


def _said(*statuses: int) -> list[str]:
    """What was told around writes with these ends."""
    said: list[str] = []
    client = _Client(*statuses)
    server = Server(lambda: client)
    with server.before_write(lambda: said.append("ours"), lambda: said.append("not")):
        for status in statuses:
            try:
                server.write("x", {})
            except ApiError as error:
                assert error.status == status  # noqa: PT017  # each of several
    server_after = len(said)
    client._statuses.append(200)
    server.write("x", {})
    assert len(said) == server_after
    return said


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ((200, 200), ["ours"]),
        ((403,), ["ours", "not"]),
        ((200, 400), ["ours"]),
        ((400, 200), ["ours", "not", "ours"]),
        ((500,), ["ours"]),
    ],
)
def test_a_first_write_that_is_refused_makes_nothing_ours(statuses: tuple[int, ...], said: list[str]) -> None:
    assert _said(*statuses) == said


class _Clock(_Client):
    """A client of a server whose clock is ahead."""

    address = "https://one"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def send(self, method: str, path: str, **_: object) -> Response:
        headers = HTTPMessage()
        headers["Date"] = format_datetime(clock.now() + timedelta(seconds=self._seconds), usegmt=True)
        return Response(200, b"{}", headers)


@pytest.mark.parametrize("seconds", [-7200, 120])
def test_a_server_whose_clock_is_another_is_not_read(seconds: float) -> None:
    wrong, right = _Clock(seconds), _Clock(0)
    with pytest.raises(CommandError, match="s apart"):
        Server(lambda: wrong).check_clock()
    Server(lambda: right).check_clock()

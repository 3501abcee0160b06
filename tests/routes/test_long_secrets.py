# SPDX-License-Identifier: EUPL-1.2
"""Secrets of 24 MiB: nothing that is done to one holds the event loop, on any storage, and every part of it arrives."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import pytest

from tests import stalls
from tests.pace import copying, hashing
from tests.routes.driver import Answer, Application
from vault.storage.sqlite.storage import SqliteStorage

_SIZE = 24 << 20
_HELD: list[tuple[str, float]] = []
"""For how long each request of the scenario that is being played held the loop, in seconds."""
P = ParamSpec("P")
_BODY = b'{"a":"%b"}' % (b"a" * _SIZE)
_NEWER = b'{"a":"%b"}' % (b"b" * _SIZE)


@pytest.fixture(params=["memory", "sqlite"])
def application(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Application]:
    stalls.install()
    storage = SqliteStorage.open(tmp_path / "vault.db") if request.param == "sqlite" else None
    with Application(storage) as application:
        yield application


def _undisturbed(scenario: Callable[P, None]) -> Callable[P, None]:
    """Judge what each request of a scenario, which leaves nothing, holds the loop for."""

    @wraps(scenario)
    def played(*args: P.args, **kwargs: P.kwargs) -> None:
        def play() -> Mapping[str, float]:
            _HELD.clear()
            scenario(*args, **kwargs)
            assert _HELD
            return {f"{place}. {name}": seconds for place, (name, seconds) in enumerate(_HELD, 1)}

        # The longest step takes 3 or 4 copies, and hashing 5 to 8: one that hashes copies, too, and takes longer than that alone.
        most = max(hashing(_BODY), 5 * copying(_BODY))
        assert stalls.held_too_long(play, most, measured_here=True) == {}

    return played


def _sent(
    application: Application,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str = "root",
    ttl: str = "",
) -> Answer:
    """Send a request, and note how long it held the loop."""
    headers = {"x-vault-wrap-ttl": ttl} if ttl else {}
    stalls.STALLS.longest = 0.0, ""
    answer = application.request(method, f"/v1/{path}", body, token=token, headers=headers)
    _HELD.append((f"{method} {path}", stalls.STALLS.longest[0]))
    return answer


def _asked(application: Application, method: str, path: str, body: object = None, *, ttl: str = "") -> Answer:
    answer = _sent(application, method, path, body, ttl=ttl)
    assert answer.status < 300, answer.body[:200]
    return answer


def _sign(answer: Answer) -> str:
    """Which of the two secrets an answer holds, whole."""
    data = answer.json()["data"]
    text: str = (data["data"] if "metadata" in data else data)["a"]
    assert len(text) == _SIZE and text.count(text[0]) == _SIZE
    return text[0]


@_undisturbed
def test_sl_74_versions_of_24_mib(application: Application) -> None:
    older, newer = b'{"data":%b}' % _BODY, b'{"data":%b}' % _NEWER
    for body in (older, newer):
        _asked(application, "POST", "secret/data/y", body)
    assert _sign(_asked(application, "GET", "secret/data/y")) == "b"
    assert _sign(_asked(application, "GET", "secret/data/y")) == "b"
    assert _sign(_asked(application, "GET", "secret/data/y?version=1")) == "a"
    assert _asked(application, "GET", "secret/subkeys/y").json()["data"]["subkeys"] == {"a": None}
    _asked(application, "PATCH", "secret/data/y", {"data": {"b": "c"}})
    patched = _asked(application, "GET", "secret/data/y")
    assert _sign(patched) == "b" and patched.json()["data"]["data"]["b"] == "c"
    _asked(application, "POST", "secret/metadata/y", {"custom_metadata": {"a": "b"}})
    _asked(application, "PATCH", "secret/metadata/y", {"custom_metadata": {"a": "c"}})
    assert len(_asked(application, "GET", "secret/metadata/y").json()["data"]["versions"]) == 3
    assert "y" in _asked(application, "LIST", "secret/metadata/").json()["data"]["keys"]
    assert "y" in _asked(application, "LIST", "secret/detailed-metadata/").json()["data"]["keys"]
    _asked(application, "DELETE", "secret/data/y")
    _asked(application, "POST", "secret/undelete/y", {"versions": [3]})
    assert _sign(_asked(application, "GET", "secret/data/y")) == "b"
    _asked(application, "POST", "secret/delete/y", {"versions": [1, 3]})
    _asked(application, "POST", "secret/destroy/y", {"versions": [2, 3]})
    _asked(application, "POST", "secret/undelete/y", {"versions": [1, 2, 3]})
    assert _sign(_asked(application, "GET", "secret/data/y?version=1")) == "a"
    for number in (2, 3):
        assert application.request("GET", f"/v1/secret/data/y?version={number}", token="root").status == 404
    _asked(application, "POST", "secret/data/y", older)
    _asked(application, "POST", "secret/data/y", {"data": {"a": "short"}})
    assert _sign(_asked(application, "GET", "secret/data/y?version=4")) == "a"
    _asked(application, "DELETE", "secret/metadata/y")
    assert application.request("GET", "/v1/secret/data/y", token="root").status == 404


@pytest.mark.parametrize(
    ("application", "path"),
    [
        ("memory", "plain/y"),
        ("sqlite", "cubbyhole/y"),
        pytest.param("memory", "cubbyhole/y", marks=pytest.mark.soak),
        pytest.param("sqlite", "plain/y", marks=pytest.mark.soak),
    ],
    indirect=["application"],
)
@_undisturbed
def test_sl_74_entries_of_24_mib(application: Application, path: str) -> None:
    for body in (_BODY, _NEWER):
        _asked(application, "POST", path, body)
    assert _sign(_asked(application, "GET", path)) == "b"
    assert _sign(_asked(application, "GET", path)) == "b"
    assert "y" in _asked(application, "LIST", path[:-1]).json()["data"]["keys"]
    _asked(application, "POST", path, {"a": "short"})
    _asked(application, "POST", path, _BODY)
    assert _sign(_asked(application, "GET", path)) == "a"
    _asked(application, "DELETE", path)
    assert application.request("GET", f"/v1/{path}", token="root").status == 404


@_undisturbed
def test_sl_74_responses_of_24_mib(application: Application) -> None:
    token = _asked(application, "POST", "sys/wrapping/wrap", _BODY, ttl="60").json()["wrap_info"]["token"]
    _asked(application, "POST", "sys/wrapping/lookup", {"token": token})
    again = _asked(application, "POST", "sys/wrapping/rewrap", {"token": token})
    token = again.json()["wrap_info"]["token"]
    assert _sign(_asked(application, "POST", "sys/wrapping/unwrap", {"token": token})) == "a"


@_undisturbed
def test_sl_74_what_is_refused_is_hashed_off_the_loop_too(application: Application) -> None:
    weak = application.token('path "plain/x" { capabilities = ["read"] }')
    assert _sent(application, "POST", "plain/y", _BODY, token=weak).status == 403
    record = application.records()[-1]
    hashed = application.vault.controls.audit.hash("file", "a" * _SIZE)
    assert hashed in record["request"]["data"].values()


@pytest.mark.parametrize("path", ["sys/policies/acl/y", "sys/policies/password/y"])
@_undisturbed
def test_sl_74_a_policy_of_24_mib_is_refused_undecoded(application: Application, path: str) -> None:
    answer = _sent(application, "POST", path, b'{"policy":"%b"}' % (b"a" * _SIZE))
    assert answer.status == 400, answer.body[:200]

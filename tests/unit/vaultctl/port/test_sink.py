# SPDX-License-Identifier: EUPL-1.2
"""An archive is no list of requests: an entry is written where its kind belongs, and nothing below a mount that was not made."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from vaultctl.errors import ApiError
from vaultctl.port.ground.entry import Entry, Item, Name, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server
from vaultctl.port.sink import ServerSink

_MOUNTS = {"secret/": {"type": "kv"}, "transit/": {"type": "transit"}, "sys/": {"type": "system"}}
_MISPLACED = Outcome("refused", "no entry of this kind is written there")
_SECRET = {"mount": "secret/", "value": "{}"}
_ABSENT = Outcome("left", "its mount could not be made")


class Destination:
    """A server with some mounts, which keeps what is written to it."""

    def __init__(self, refuses: str = "") -> None:
        self.written: dict[str, object] = {}
        self.there: dict[str, Mapping[str, object]] = {"sys/mounts": _MOUNTS, "team/sys/mounts": _MOUNTS}
        self._refuses = refuses
        self.tell: Callable[[], None] = lambda: None

    def read(self, path: str, query: object = None) -> Mapping[str, object] | None:
        return self.there.get(path)

    def require(self, path: str) -> Mapping[str, object]:
        return self.read(path) or {}

    def write(self, path: str, body: object, method: str = "POST") -> dict[str, object]:
        if path == self._refuses:
            raise ApiError("POST", "", path, status=400, errors=["it is in use"], raw="")
        self.written[path] = body
        tell, self.tell = self.tell, lambda: None
        tell()
        return {}

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        return iter(())

    @contextmanager
    def before_write(self, tell: Callable[[], None], undo: Callable[[], None]) -> Iterator[None]:
        self.tell = tell
        yield


def put(sink: ServerSink, kind: str, path: str, data: Mapping[str, Any], namespace: str = "") -> Outcome:
    entry = Entry(Name(kind, namespace, path), data)
    return sink.put(Item(entry.name, "", lambda: entry), entry)


def sink_of(destination: Destination, folder: Path) -> ServerSink:
    journal = Journal(folder / "journal", {"source": "a"})
    return ServerSink(cast("Server", destination), journal, replace=True, fillers=10)


@pytest.mark.parametrize(
    ("kind", "path", "data"),
    [
        ("kv1", "sys/audit/x", {"mount": "sys/", "value": '{"type":"file"}'}),
        ("kv1", "auth/userpass/users/x", {"mount": "auth/userpass/", "value": "{}"}),
        ("kv1", "transit/keys/x", {"mount": "transit/", "value": "{}"}),
        ("kv1", "sys/audit/x", {"mount": "secret/", "value": "{}"}),
        ("kv1", "secret/x", {"mount": "sec", "value": "{}"}),
        ("kv1", "secret/x", {"value": "{}"}),
        ("kv2", "sys/audit/x", {"mount": "sys/", "current": 1, "settings": {}, "versions": []}),
        ("kv-names", "sys/", {"version": "1", "names": []}),
        ("transit-key", "secret/keys/x", {"mount": "secret/"}),
        ("entity", "auth/userpass/users/x", {"body": {"password": "x"}, "aliases": []}),
        ("group", "identity/entity/name/x", {"body": {}, "members": {}, "aliases": []}),
        ("policy", "auth/userpass/users/x", {"body": {"policy": ""}, "ids": {}}),
        ("userpass", "sys/audit/x", {"body": {}}),
        ("kv1", "secret/../sys/policies/acl/x", _SECRET),
        ("kv2", "secret/a/../../sys/x", {"mount": "secret/", "current": 1, "settings": {}, "versions": []}),
        ("policy", "sys/policies/acl/../../auth/x", {"body": {"policy": ""}, "ids": {}}),
        ("mount", "../policies/acl/x/", {}),
    ],
)
def test_what_an_archive_says_is_written_where_its_kind_belongs(
    kind: str, path: str, data: Mapping[str, Any], tmp_path: Path
) -> None:
    destination = Destination()
    assert put(sink_of(destination, tmp_path), kind, path, data) == _MISPLACED
    assert destination.written == {}


def test_versions_that_are_said_to_be_gone_are_not_counted_one_by_one(tmp_path: Path) -> None:
    version = {"version": 10**15, "state": "alive", "created": "", "ends": "", "value": "{}"}
    data = {"mount": "secret/", "current": 10**15, "settings": {}, "versions": [version]}
    outcome = put(sink_of(Destination(), tmp_path), "kv2", "secret/x", data)
    assert outcome.word == "refused"
    assert outcome.why.startswith("999999999999999 versions are gone")


def test_no_namespace_leads_out(tmp_path: Path) -> None:
    destination = Destination()
    assert put(sink_of(destination, tmp_path), "kv1", "secret/x", _SECRET, "team/../") == _MISPLACED
    assert destination.written == {}


def test_a_namespace_ends_with_a_slash(tmp_path: Path) -> None:
    destination = Destination()
    sink = sink_of(destination, tmp_path)
    assert put(sink, "kv1", "secret/x", _SECRET, "team") == _MISPLACED
    assert put(sink, "kv1", "secret/x", _SECRET, "team/").word == "written"
    assert list(destination.written) == ["team/secret/x"]


def _about(kind: str) -> dict[str, Any]:
    """What is said of a mount of this type."""
    return {"type": kind, "description": "", "options": {}, "config": {}, "local": False, "seal_wrap": False}


def test_nothing_is_written_below_a_mount_that_was_not_made(tmp_path: Path) -> None:
    destination = Destination(refuses="sys/mounts/secret/team")
    sink = sink_of(destination, tmp_path)
    with pytest.raises(ApiError):
        put(sink, "mount", "secret/team/", _about("kv"))
    assert put(sink, "kv1", "secret/team/x", {**_SECRET, "mount": "secret/team/"}) == _ABSENT
    assert put(sink, "kv1", "secret/x", _SECRET).word == "written"
    assert list(destination.written) == ["secret/x"]


def test_no_role_is_written_into_an_auth_mount_that_is_another(tmp_path: Path) -> None:
    destination = Destination(refuses="sys/auth/sso")
    sink = sink_of(destination, tmp_path)
    with pytest.raises(ApiError):
        put(sink, "auth-mount", "sso/", _about("jwt"))
    assert put(sink, "jwt-role", "auth/sso/role/x", {"body": {"token_policies": ["admin"]}}) == _ABSENT
    assert destination.written == {}


def test_what_the_destination_had_already_is_not_ours_and_what_was_written_is(tmp_path: Path) -> None:
    destination = Destination()
    journal = Journal(tmp_path / "journal", {"source": "a"})
    sink = ServerSink(cast("Server", destination), journal, replace=False, fillers=10)
    destination.there["sys/quotas/rate-limit/x"] = {"rate": 5}
    assert put(sink, "quota", "sys/quotas/rate-limit/x", {"body": {"rate": 5}}).word == "unchanged"
    assert put(sink, "quota", "sys/quotas/rate-limit/y", {"body": {"rate": 5}}).word == "written"
    assert put(sink, "quota", "sys/quotas/rate-limit/x", {"body": {"rate": 6}}).word == "left"
    assert not journal.holds(Name("quota", "", "sys/quotas/rate-limit/x"))
    assert journal.holds(Name("quota", "", "sys/quotas/rate-limit/y"))

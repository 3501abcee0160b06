# SPDX-License-Identifier: EUPL-1.2
"""A version that was undeleted to be read is deleted again, whatever ends the read, and by the next run where nothing could."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vaultctl.errors import ApiError, CommandError
from vaultctl.port.ground.entry import Name
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server
from vaultctl.port.kv.mount import Mount
from vaultctl.port.kv.undeletion import Undeletion

_MOUNT = Mount("team/", "kv/", "moved-1/kv/")
_NAME = Name("kv2", "team/", "kv/app/s")
_UNDELETE, _DELETE = "team/moved-1/kv/undelete/app/s", "team/moved-1/kv/delete/app/s"


class _Shelf(Server):
    """A server with one secret, which fails where it is told to."""

    def __init__(self, **fails: BaseException) -> None:
        super().__init__(lambda: pytest.fail("nothing is asked over the network"))
        self.fails = fails
        self.seen: list[tuple[str, object]] = []

    def write(self, path: str, body: object, *, method: str = "POST") -> dict[str, object]:
        self.seen.append((path, body))
        for word, error in self.fails.items():
            if f"/{word}/" in path:
                raise error
        return {}

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        if "list" in self.fails:
            raise self.fails["list"]
        return iter({"team/moved-1/kv/metadata/": [("app/", None)]}.get(path, [("s", None)]))


def _refusal(status: int) -> ApiError:
    return ApiError("POST", "", "x", status=status, errors=[], raw="")


def _read(server: _Shelf, journal: Journal, error: BaseException | None = None) -> None:
    def value() -> dict[str, object]:
        if error is not None:
            raise error
        return {}

    Undeletion(journal).read(server, _MOUNT, _NAME, 3, value)


def _paths(server: _Shelf) -> list[str]:
    return [path for path, _ in server.seen]


def _settle(server: _Shelf, journal: Journal) -> None:
    with Undeletion(journal).settled(server, lambda: [_MOUNT]):
        pass


@pytest.mark.parametrize("error", [CommandError("gone"), KeyboardInterrupt(), _refusal(403), None])
def test_whatever_ends_the_read_it_is_deleted_again(error: BaseException | None, tmp_path: Path) -> None:
    server, journal = _Shelf(), Journal(tmp_path / "j", {})
    if error is None:
        _read(server, journal)
    else:
        with pytest.raises(type(error)):
            _read(server, journal, error)
    assert server.seen == [(_UNDELETE, {"versions": [3]}), (_DELETE, {"versions": [3]})]
    _settle(server, journal)
    assert len(server.seen) == 2


def test_an_undeletion_that_may_have_been_done_is_undone_and_one_that_was_refused_is_not(
    tmp_path: Path,
) -> None:
    for number, (error, paths) in enumerate(
        [
            (CommandError("no answer"), [_UNDELETE, _DELETE]),
            (_refusal(500), [_UNDELETE, _DELETE]),
            (_refusal(403), [_UNDELETE]),
        ]
    ):
        server, journal = _Shelf(undelete=error), Journal(tmp_path / str(number), {})
        with pytest.raises(CommandError):
            _read(server, journal)
        assert _paths(server) == paths
        _settle(server, journal)
        assert _paths(server) == paths


def test_what_could_not_be_deleted_is_deleted_by_the_next_run_before_all_else(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", {})
    with pytest.raises(CommandError):
        _read(_Shelf(delete=CommandError("no answer")), journal)
    journal.close()
    journal = Journal(tmp_path / "j", {})
    with pytest.raises(CommandError, match="1 secrets have versions"):
        _settle(_Shelf(list=_refusal(403)), journal)
    server = _Shelf()
    with Undeletion(journal).settled(server, lambda: [_MOUNT]):
        assert server.seen == [(_DELETE, {"versions": [3]})]
    journal.close()
    again = _Shelf()
    _settle(again, Journal(tmp_path / "j", {}))
    assert again.seen == []


def test_what_this_run_could_not_delete_is_tried_again_at_its_end(tmp_path: Path) -> None:
    server = _Shelf(delete=CommandError("no answer"))
    undeletion = Undeletion(Journal(tmp_path / "j", {}))
    with pytest.raises(ZeroDivisionError), undeletion.settled(server, lambda: [_MOUNT]):
        with pytest.raises(CommandError):
            undeletion.read(server, _MOUNT, _NAME, 3, dict)
        server.fails.clear()
        raise ZeroDivisionError
    assert _paths(server) == [_UNDELETE, _DELETE, _DELETE]

# SPDX-License-Identifier: EUPL-1.2
"""What a bucket's schedule removes nearby is what it staged itself."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from vault.server.config.snapshots.settings import SnapshotSettings
from vault.server.snapshots import bucket
from vault.storage.protocol import StorageFailure

_KEPT = ("nightly-20261130T023000Z.age", "nightly-20261130T023000Z.db", "nightly.sending-notes.txt")
_STAGED = ("nightly.sending-20261130T023000Z.age", "nightly.sending-20261130T023000Z.db.partial")


def test_backups_that_are_kept_in_the_same_directory_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a schedule into a directory was made one into a bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    for name in (*_KEPT, *_STAGED):
        (tmp_path / name).write_bytes(b"x")
    settings = SnapshotSettings(
        kind="s3", name="nightly", path=str(tmp_path), bucket="b", endpoint="http://127.0.0.1:1"
    )
    with suppress(StorageFailure):  # nobody is there
        bucket.Bucket(settings).clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(_KEPT)


class Endless:
    """AWS' library before a server that always says that there is more."""

    asked = 0

    def set_config_variable(self, name: str, value: str) -> None:
        """Take a setting."""

    def set_credentials(self, *keys: object) -> None:
        """Take a key."""

    def create_client(self, *_: object, **given: object) -> "Endless":
        return self

    def list_objects_v2(self, **given: object) -> Mapping[str, object]:
        self.asked += 1
        assert self.asked <= 5000
        return {"IsTruncated": True, "NextContinuationToken": "t"}


def test_a_list_that_never_ends_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    endless = Endless()
    monkeypatch.setattr(bucket, "Session", lambda: endless)
    settings = SnapshotSettings(
        kind="s3", name="nightly", path=str(tmp_path), bucket="b", endpoint="http://127.0.0.1:1"
    )
    assert bucket.Bucket(settings).items() == []
    assert endless.asked > 1

# SPDX-License-Identifier: EUPL-1.2
"""Backups in object storage: whole or not there, found and removed again, and told plainly where it does not work."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.fuzz.process import PATIENCE, wait_until
from tests.integration.object_storage import BUCKET, Store, broken_way, object_storage
from tests.storage.copies import make, silent, words
from vault.server.config.settings import StorageSettings
from vault.server.config.snapshots.settings import SnapshotSettings
from vault.server.offline import scheduled
from vault.server.snapshots import bucket
from vault.server.snapshots.bucket import Bucket
from vault.server.snapshots.messages import Outcome, Task
from vault.server.snapshots.names import name_of
from vault.storage.copies.restore import restore
from vault.values.times import Millis

HOUR = 3_600_000
PART = 5 << 20
"""Bytes of the smallest part that S3 takes, but for the last one."""
WORD = "what-was-stored"
"""Long enough that a database is of three parts."""
NOON = Millis(1_796_040_000_000)


@pytest.fixture(scope="module")
def started() -> Iterator[Store]:
    with object_storage() as store:
        yield store


@pytest.fixture
def store(started: Store) -> Store:
    client = started.client()
    for key in started.objects():
        client.delete_object(Bucket=BUCKET, Key=key)
    assert started.objects() == started.begun() == []
    return started


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("large") / "vault.db"
    make(file, WORD)
    return file


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("vault") / "vault.db"
    make(file, "old")
    return file


def _settings(store: Store, folder: Path, **more: object) -> SnapshotSettings:
    staging = folder / "staging"
    staging.mkdir(exist_ok=True)
    settings = SnapshotSettings(
        kind="s3",
        name="away",
        path=str(staging),
        bucket=BUCKET,
        prefix="vault/",
        endpoint=store.endpoint,
        credentials_file=str(store.credentials(folder)),
    )
    return msgspec.structs.replace(settings, **more)


def _made(database: Path, settings: SnapshotSettings, begun: int = NOON, mark: str = "5f2a90c1") -> Outcome:
    storage = StorageSettings(kind="sqlite", path=str(database))
    return scheduled.make(Task(storage=storage, snapshot=settings, begun=Millis(begun), mark=mark))


def _got(store: Store, name: str, folder: Path) -> Path:
    file = folder / name
    with file.open("wb") as written:
        for chunk in store.client().get_object(Bucket=BUCKET, Key=f"vault/{name}")["Body"].iter_chunks():
            written.write(chunk)
    return file


@pytest.mark.parametrize("part", [bucket.PART, PART], ids=["whole", "parts"])
def test_what_is_sent_can_be_restored(
    store: Store, large: Path, tmp_path: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "PART", part)
    outcome = _made(large, _settings(store, tmp_path))
    assert outcome.failure == ""
    assert outcome.name.endswith("-5f2a90c1.db")
    assert store.objects() == [f"vault/{outcome.name}", f"vault/{outcome.name}.sha256"]
    file = _got(store, outcome.name, tmp_path)
    assert file.stat().st_size == outcome.size
    restore(file, tmp_path / "back.db", keep=False, progress=silent)
    assert words(tmp_path / "back.db") == {WORD}
    assert list((tmp_path / "staging").iterdir()) == []


def test_retention_takes_the_oldest(store: Store, database: Path, tmp_path: Path) -> None:
    settings = _settings(store, tmp_path, keep=2)
    store.client().put_object(Bucket=BUCKET, Key="vault/precious.db", Body=b"x")
    outcomes = [_made(database, settings, NOON + number * HOUR) for number in range(4)]
    assert [len(one.removed) for one in outcomes] == [0, 0, 1, 1]
    kept = [f"vault/{one.name}{end}" for one in outcomes[2:] for end in ("", ".sha256")]
    assert sorted(store.objects()) == sorted([*kept, "vault/precious.db"])
    assert sorted(item.name for item in Bucket(settings).items()) == [one.name for one in outcomes[2:]]


def test_wrong_credentials_are_told_without_them(store: Store, database: Path, tmp_path: Path) -> None:
    settings = _settings(store, tmp_path)
    store.credentials(tmp_path, secret="hunter2-hunter2")
    outcome = _made(database, settings)
    assert "answers SignatureDoesNotMatch to" in outcome.failure
    assert "hunter2" not in str(outcome)
    assert store.key not in str(outcome)
    assert store.objects() == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no access key is in"),
        ("[default]\naws_access_key_id = x\n", "credentials_file cannot be read"),
        ("nonsense", "credentials_file cannot be read"),
    ],
)
def test_a_file_without_credentials_is_told(
    store: Store, database: Path, tmp_path: Path, text: str, told: str
) -> None:
    settings = _settings(store, tmp_path)
    Path(settings.credentials_file).write_text(text)
    assert told in _made(database, settings).failure


def test_credentials_may_be_in_the_environment(
    store: Store, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(store, tmp_path, credentials_file="")
    assert "no access key is in the environment" in _made(database, settings).failure
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", store.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store.secret)
    assert _made(database, settings).failure == ""


def test_a_bucket_that_is_not_there_is_told(store: Store, database: Path, tmp_path: Path) -> None:
    assert "answers NoSuchBucket to" in _made(database, _settings(store, tmp_path, bucket="nobody")).failure


def test_a_server_that_is_away_is_told(store: Store, database: Path, tmp_path: Path) -> None:
    with broken_way(store, 0) as way:
        endpoint = way.endpoint
    outcome = _made(database, _settings(store, tmp_path, endpoint=endpoint))
    assert "does not answer as it should: EndpointConnectionError" in outcome.failure
    assert list((tmp_path / "staging").iterdir()) == []


def test_what_is_cut_within_an_upload_is_not_there_and_is_ended_by_the_next(
    store: Store, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "PART", PART)
    settings = _settings(store, tmp_path)
    with broken_way(store, 7 << 20) as way:
        outcome = _made(large, msgspec.structs.replace(settings, endpoint=way.endpoint))
    assert "does not answer as it should" in outcome.failure
    assert store.objects() == []
    assert store.begun() == [
        f"vault/away-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(NOON // 1000))}-5f2a90c1.db"
    ]
    foreign = store.client().create_multipart_upload(Bucket=BUCKET, Key="vault/precious")
    again = _made(large, settings, NOON + HOUR)
    assert (again.failure, again.cleared) == ("", 1)
    assert store.begun() == ["vault/precious"]
    store.client().abort_multipart_upload(Bucket=BUCKET, Key="vault/precious", UploadId=foreign["UploadId"])


def test_what_reads_back_otherwise_is_removed(
    store: Store, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(store, tmp_path)
    read_back = Bucket.read_back

    def exchanged(self: Bucket, key: str, wanted: bytes) -> None:
        store.client().put_object(Bucket=BUCKET, Key=key, Body=b"another")
        read_back(self, key, wanted)

    monkeypatch.setattr(Bucket, "read_back", exchanged)
    assert "does not hold what was sent" in _made(database, settings).failure
    assert store.objects() == []


def test_two_clusters_in_one_place_leave_each_other_alone(
    store: Store, database: Path, tmp_path: Path
) -> None:
    settings = _settings(store, tmp_path, keep=1)
    theirs = [_made(database, settings, NOON - HOUR, "00000000").name]
    foreign = store.client().create_multipart_upload(Bucket=BUCKET, Key=f"vault/{theirs[0]}")
    ours = [_made(database, settings, NOON + number * HOUR) for number in range(2)]
    assert ours[1].removed == [ours[0].name]
    kept = {f"vault/{name}{end}" for name in (theirs[0], ours[1].name) for end in ("", ".sha256")}
    assert set(store.objects()) == kept
    assert len(store.begun()) == 1
    store.client().abort_multipart_upload(
        Bucket=BUCKET, Key=f"vault/{theirs[0]}", UploadId=foreign["UploadId"]
    )


def test_what_nobody_verified_takes_no_place_and_goes_with_what_is_as_old(
    store: Store, database: Path, tmp_path: Path
) -> None:
    """As where it could not be removed once it read back otherwise."""
    settings = _settings(store, tmp_path, keep=2)
    good = _made(database, settings)
    bad = name_of("away", Millis(NOON + HOUR), encrypted=False, mark="5f2a90c1")
    old = name_of("away", Millis(NOON - HOUR), encrypted=False)
    for name in (bad, old):
        store.client().put_object(Bucket=BUCKET, Key=f"vault/{name}", Body=b"x")
    place = Bucket(settings, "5f2a90c1")
    assert {item.name: item.verified for item in place.items()} == {good.name: True, bad: False, old: True}
    again = _made(database, settings, NOON + 2 * HOUR)
    assert (again.cleared, again.removed) == (0, [old])
    third = _made(database, settings, NOON + 3 * HOUR)
    assert third.removed == [good.name, bad]
    assert {item.name for item in place.items() if item.verified} == {again.name, third.name}


def test_whoever_loses_the_sums_loses_no_backup(store: Store, database: Path, tmp_path: Path) -> None:
    """As by copying a bucket in part, or by a list that does not show them."""
    settings = _settings(store, tmp_path, keep=2)
    made = [_made(database, settings, NOON + number * HOUR).name for number in range(2)]
    for name in made:
        store.client().delete_object(Bucket=BUCKET, Key=f"vault/{name}.sha256")
    again = _made(database, settings, NOON + 2 * HOUR)
    assert (again.cleared, again.removed, again.unremoved) == (0, [], "")
    assert {f"vault/{name}" for name in made} < set(store.objects())
    third = _made(database, settings, NOON + 3 * HOUR)
    assert third.removed == made
    assert set(store.objects()) == {
        f"vault/{one.name}{end}" for one in (again, third) for end in ("", ".sha256")
    }


def test_nothing_goes_where_the_new_one_is_not_listed(
    store: Store, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(store, tmp_path, keep=1)
    first = _made(database, settings)
    items = Bucket.items
    monkeypatch.setattr(
        Bucket, "items", lambda place: [item for item in items(place) if item.name == first.name]
    )
    again = _made(database, settings, NOON + HOUR)
    assert (again.failure, again.removed) == ("", [])
    assert "not listed" in again.unremoved
    assert f"vault/{first.name}" in store.objects()


def test_a_proxy_is_no_way_to_this_machine(
    store: Store, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert _made(database, _settings(store, tmp_path)).failure == ""


def test_kill_9_leaves_no_object_and_the_next_one_removes_what_is_left(
    store: Store, large: Path, tmp_path: Path
) -> None:
    """Killed at one moment of each kind: while it is copied, sent, and read back."""
    settings = _settings(store, tmp_path)
    storage = StorageSettings(kind="sqlite", path=str(large))
    for number, moment in enumerate(("VACUUM", "upload_part", "complete_multipart_upload", "get_object")):
        begun = Millis(NOON + number * HOUR)
        task = Task(storage=storage, snapshot=settings, begun=begun, mark="5f2a90c1")
        command = [sys.executable, "-m", "tests.integration.cut_upload", moment]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin is not None
            child.stdin.write(msgspec.json.encode(task) + b"\n")
            child.stdin.flush()  # it stays open, as a server that lives keeps it
            assert child.wait(PATIENCE) == -signal.SIGKILL
        whole = [key for key in store.objects() if _is_whole(store, key, tmp_path)]
        assert store.objects() == whole
    again = _made(large, settings, NOON + 9 * HOUR)
    assert again.failure == ""
    assert again.cleared > 0
    assert store.begun() == []
    verified = [item.name for item in Bucket(settings, "5f2a90c1").items() if item.verified]
    assert verified == [again.name], "none that nobody verified counts"
    assert list((tmp_path / "staging").iterdir()) == []
    wait_until(lambda: f"vault/{again.name}" in store.objects(), lambda: "it is there")


def _is_whole(store: Store, key: str, folder: Path) -> bool:
    file = _got(store, key.removeprefix("vault/"), folder)
    restore(file, folder / f"{file.name}.back", keep=False, progress=silent)
    return words(folder / f"{file.name}.back") == {WORD}

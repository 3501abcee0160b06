# SPDX-License-Identifier: EUPL-1.2
"""The stanza of backups on a schedule: what is read, and what is refused with its place."""

from pathlib import Path

import pytest

from vault.server.config.collisions import claims
from vault.server.config.files import load, validate
from vault.server.config.settings import Config

_DIRECTORY = 'snapshot "directory" "nightly" {{\n path = "/backup"\n {more}\n}}\n'
_S3 = 'snapshot "s3" "away" {{\n path = "/staging"\n bucket = "b"\n endpoint = "{endpoint}"\n {more}\n}}\n'


def _write(folder: Path, more: str, storage: str = 'storage "sqlite" {\n path = "/v.db"\n}') -> str:
    file = folder / "server.hcl"
    file.write_text(f'{storage}\nlistener "tcp" {{ tls_disable = true }}\n{more}')
    return str(file)


def _load(folder: Path, more: str) -> Config:
    return load([_write(folder, more)], {})


def _problem(folder: Path, more: str) -> str:
    (problem,) = validate([_write(folder, more)]).problems
    return problem


def test_a_directory_is_read_with_what_stays(tmp_path: Path) -> None:
    more = 'interval = "6h"\n keep = 7\n max_age = "30d"\n recipients = ["age1x", "age1y"]'
    (one,) = _load(tmp_path, _DIRECTORY.format(more=more)).snapshots
    assert (one.kind, one.name, one.path, one.interval) == ("directory", "nightly", "/backup", 6 * 3600)
    assert (one.keep, one.max_age, one.recipients, one.encrypts) == (7, 30 * 86_400, ("age1x", "age1y"), True)


def test_what_is_not_set_is_a_day_and_thirty(tmp_path: Path) -> None:
    (one,) = _load(tmp_path, _DIRECTORY.format(more="")).snapshots
    assert (one.interval, one.keep, one.max_age, one.encrypts) == (86_400, 30, 0, False)


def test_object_storage_is_read(tmp_path: Path) -> None:
    more = 'prefix = "p/"\n credentials_file = "/c"\n recipients_file = "/r"\n region = "eu-north-1"\n path_style = false'
    config = _load(tmp_path, _S3.format(endpoint="https://s3.example.eu", more=more))
    (one,) = config.snapshots
    assert (one.kind, one.bucket, one.prefix, one.region) == ("s3", "b", "p/", "eu-north-1")
    assert (one.credentials_file, one.endpoint, one.path_style) == ("/c", "https://s3.example.eu", False)
    assert not config.warnings
    assert {"/c", "/r", "/staging"} <= {claim.path for claim in claims(config)}, (
        "no audit device is led there"
    )


def test_several_add_up(tmp_path: Path) -> None:
    more = _DIRECTORY.format(more="") + _S3.format(endpoint="https://s3.example.eu", more="")
    assert [one.name for one in _load(tmp_path, more).snapshots] == ["nightly", "away"]


@pytest.mark.parametrize(
    ("stanza", "told"),
    [
        ('snapshot "tape" "x" {\n path = "/b"\n}', 'choose "directory" or "s3"'),
        ('snapshot "directory" "a/b" {\n path = "/b"\n}', "the name of a snapshot must be one word"),
        ('snapshot "directory" "x" {}', "snapshot x needs path"),
        ('snapshot "directory" "x" {\n path = "here"\n}', "snapshot x needs path, the absolute path"),
        (_DIRECTORY.format(more="interval = 0"), "interval must be at least 1 s"),
        (_DIRECTORY.format(more='keep = "0"'), "keep must be a whole number of at least 1"),
        (_DIRECTORY.format(more='bucket = "b"'), 'snapshot "directory" has no bucket; remove it'),
        (_DIRECTORY.format(more="") * 2, "another snapshot has the name nightly"),
        (_S3.format(endpoint="https://h", more="").replace('bucket = "b"', ""), "needs bucket"),
        (_S3.format(endpoint="h", more=""), "needs endpoint: the URL must begin with https://"),
        (_S3.format(endpoint="http://h.example", more=""), "endpoint must be https://"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path: Path, stanza: str, told: str) -> None:
    problem = _problem(tmp_path, stanza)
    assert told in problem
    assert ".hcl:" in problem


def test_there_are_not_too_many(tmp_path: Path) -> None:
    more = "".join(_DIRECTORY.format(more="").replace("nightly", f"n{number}") for number in range(17))
    assert "16 at most" in _problem(tmp_path, more)


def test_a_bucket_without_encryption_is_warned_of(tmp_path: Path) -> None:
    found = validate([_write(tmp_path, _S3.format(endpoint="https://s3.example.eu", more=""))])
    assert not found.problems
    (warning,) = found.warnings
    assert "sees names of paths" in warning


def test_a_storage_that_ends_with_its_server_is_not_backed_up(tmp_path: Path) -> None:
    file = _write(tmp_path, _DIRECTORY.format(more=""), 'storage "inmem" {}')
    (problem,) = validate([file]).problems
    assert "nothing of it is backed up" in problem

# SPDX-License-Identifier: EUPL-1.2
"""Records of several versions: what is old is read, what is newer is refused by name, and nothing is read as another."""

import msgspec
import pytest

from vault.barrier.stored import KINDS, NewerFormat, RecordKind, UnknownFormat, version_of


class First(msgspec.Struct):
    name: str


class Second(msgspec.Struct):
    name: str
    hours: int = 0


class Third(msgspec.Struct):
    name: str
    minutes: int = 0


def _third(data: bytes) -> Third:
    old = msgspec.msgpack.decode(data, type=Second)
    return Third(old.name, old.hours * 60)


def kinds() -> tuple[RecordKind[First], RecordKind[Second], RecordKind[Third]]:
    """One kind as three releases know it."""
    KINDS.pop("thing", None)
    first = RecordKind("thing", First)
    KINDS.pop("thing")
    second = RecordKind("thing", Second, version=2, older={1: None})
    KINDS.pop("thing")
    return first, second, RecordKind("thing", Third, version=3, older={1: _third, 2: _third})


def test_the_first_version_is_the_record_alone_and_a_later_one_says_which_it_is() -> None:
    first, second, third = kinds()
    assert first.encode(First("a")) == msgspec.msgpack.encode(First("a"))
    assert second.encode(Second("a")) == b"\xc1\x02" + msgspec.msgpack.encode(Second("a"))
    assert [
        version_of(one) for one in (b"", b"\xc1", first.encode(First("a")), third.encode(Third("a")))
    ] == [
        1,
        1,
        1,
        3,
    ]


def test_each_release_reads_what_older_ones_wrote() -> None:
    first, second, third = kinds()
    assert second.decode(first.encode(First("a"))) == Second("a", 0)
    assert third.decode(first.encode(First("a"))) == Third("a", 0)
    assert third.decode(second.encode(Second("a", 2))) == Third("a", 120)
    assert third.decode(third.encode(Third("a", 2))) == Third("a", 2)


def test_each_release_refuses_what_only_a_newer_one_knows_and_says_what_to_do() -> None:
    first, second, third = kinds()
    for older, value in (
        (first, second.encode(Second("a"))),
        (first, third.encode(Third("a"))),
        (second, third.encode(Third("a"))),
    ):
        said = f"'thing' has version {version_of(value)}.* none after {older.version}: start the release that wrote it"
        with pytest.raises(NewerFormat, match=said):
            older.decode(value)


def test_what_a_release_without_versions_read_is_no_newer_record() -> None:
    later = kinds()[1].encode(Second("a"))
    for form in (First, dict[str, str], int, bytes):
        with pytest.raises(msgspec.DecodeError):
            msgspec.msgpack.decode(later, type=form)
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        msgspec.json.decode(b"\xc1\x02{}")


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x80", b"\xff", b"\xc1\x02\x80", b"\xc1\x00\x81\xa4name\xa1a"]
)
def test_what_is_damaged_is_refused_by_its_kind_and_nothing_of_it_is_told(data: bytes) -> None:
    with pytest.raises(
        UnknownFormat, match=r"'thing' has an unknown format: it is not as its version .* is; start the"
    ):
        kinds()[1].decode(data)


def test_what_is_nested_without_end_is_refused_like_all_that_is_damaged() -> None:
    """In text too: what says which records there are lies in the clear."""
    _, _, third = kinds()
    KINDS.pop("text", None)
    text = RecordKind("text", First, json=True)
    KINDS.pop("text")
    for data in (b"\x81\xa1a" * 100_000, b"\x91" * 100_000, b"\xc1\x03" + b"\x81\xa1a" * 100_000):
        with pytest.raises(UnknownFormat, match="it is not as its version"):
            third.decode(data)
    for data in (b'{"a":' * 100_000, b"[" * 100_000):
        with pytest.raises(UnknownFormat, match="it is not as its version"):
            text.decode(data)


def test_a_version_without_a_reader_of_each_before_it_is_no_kind() -> None:
    for version, older in (
        (2, {}),
        (3, {1: None}),
        (1, {1: None}),
        (2, {1: None, 2: None}),
        (0, {}),
        (256, {}),
    ):
        with pytest.raises(ValueError, match="needs a reader"):
            RecordKind("other", Second, version=version, older=older)


def test_two_kinds_with_one_name_are_refused() -> None:
    RecordKind("other", First)
    with pytest.raises(ValueError, match="one name"):
        RecordKind("other", First)

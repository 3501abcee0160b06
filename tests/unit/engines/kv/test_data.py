# SPDX-License-Identifier: EUPL-1.2
from typing import Any

import pytest

from tests.unit.engines.driver import Driver
from tests.unit.engines.kv.conftest import Play
from vault.framework.errors import VaultError
from vault.framework.request.operation import Operation

MISMATCH = "Malformed: check-and-set parameter did not match the current version"
UNCONVERTIBLE = "'' expected type 'map[string]interface {}', got unconvertible type 'string'"
REQUIRED = "Malformed: check-and-set parameter required for this call"


async def _write(kv: Driver, path: str, *values: Any) -> None:
    for value in values:
        await kv("POST", f"data/{path}", {"data": value})


def test_what_is_written_is_read_with_the_version_that_it_became(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        written = await kv("POST", "data/a/b", {"data": {"password": "hunter2", "n": None}})
        assert written.status == 200
        assert list(written.data) == [
            "created_time",
            "custom_metadata",
            "deletion_time",
            "destroyed",
            "version",
        ]
        assert written.data["version"] == 1
        assert written.data["custom_metadata"] is None
        assert written.data["deletion_time"] == ""
        assert written.data["created_time"].startswith("2023-11-14T22:13:20.0000")
        read = await kv("GET", "data/a/b")
        assert read.data == {"data": {"password": "hunter2", "n": None}, "metadata": written.data}
        assert (await kv("POST", "data/a/b", {"data": {}})).data["version"] == 2
        assert (await kv("GET", "data/a/b")).data["data"] == {}

    v2(scenario)


def test_each_version_can_be_read_and_what_is_out_of_range_is_not_found(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", {"v": 1}, {"v": 2}, {"v": 3})
        for version, expected in ((1, 1), ("2", 2), (3, 3), (0, 3), (-7, 3), ("", 3)):
            assert (await kv("GET", "data/a", version=version)).data["data"] == {"v": expected}
        assert await kv.refused("GET", "data/a", version=4) == "NotFound: "
        assert await kv.refused("GET", "data/nope") == "NotFound: "
        assert await kv.refused("GET", "data/") == "NotFound: "
        assert await kv.refused("GET", "data/a/") == "NotFound: "
        assert await kv.refused("GET", "data/a", version="x") == (
            'Malformed: Field validation failed: error converting input for field "version": '
            "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax"
        )

    v2(scenario)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "no data provided"),
        (None, "no data provided"),
        ({"options": {"cas": 9}}, "no data provided"),
        (
            {"data": "x"},
            f'error converting input for field "data": {UNCONVERTIBLE}',
        ),
        (
            {"data": {}, "options": "x"},
            f'error converting input for field "options": {UNCONVERTIBLE}',
        ),
    ],
)
def test_a_write_without_an_object_is_refused(v2: Play, body: Any, message: str) -> None:
    async def scenario(kv: Driver) -> None:
        assert await kv.refused("POST", "data/a", body) == f"Malformed: {message}"
        assert await kv.stored() == []

    v2(scenario)


def test_null_and_an_empty_list_are_taken_for_data_as_the_field_does(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", None)
        assert (await kv("GET", "data/a")).data["data"] is None
        assert (await kv("GET", "subkeys/a")).data["subkeys"] is None
        refused = await kv.refused("PATCH", "data/a", {"data": {"x": 1}})
        assert refused == "Malformed: resource does not exist"
        assert (await kv("GET", "data/a")).data["data"] is None
        await _write(kv, "a", [])
        assert (await kv("GET", "data/a")).data["data"] == {}
        await kv("PATCH", "data/a", {"data": None})
        assert (await kv("GET", "data/a")).data["data"] is None

    v2(scenario)


def test_every_number_is_returned_with_its_digits(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        numbers = (
            b'"a":1.0,"b":1e21,"c":-0,"d":1.50e-7,"f":123456789012345678901234567890,"g":1e400,"h":-1E-400,'
            b'"i":9007199254740993,"j":0.1000,"l":[2.0,{"x":-18446744073709551617}],"s":"-0"'
        )
        await kv("POST", "data/a", b'{"options":{"cas":0},"data":{%b}}' % numbers)
        assert (await kv("GET", "data/a")).text.startswith(b'{"data":{%b},"metadata":' % numbers)
        await kv("PATCH", "data/a", b'{"data":{"a":2.50,"l":[-0],"z":{"y":1e401}}}')
        changed = numbers.replace(b'"a":1.0', b'"a":2.50').replace(
            b'[2.0,{"x":-18446744073709551617}]', b"[-0]"
        )
        wanted = b'{"data":{%b,"z":{"y":1e401}},"metadata":' % changed
        assert (await kv("GET", "data/a")).text.startswith(wanted)
        assert (await kv("GET", "subkeys/a")).text.endswith(b'"s":null,"z":{"y":null}}}')
        too_large = b'{"data":{"a":1' + b"0" * 400 + b"}}"
        assert (await kv.refused("POST", "data/a", too_large)).startswith(
            "Malformed: failed to decode JSON input"
        )
        for odd in (b"1.0", b"1e0", b"1e400"):
            refused = await kv.refused("POST", "data/a", b'{"data":{},"options":{"cas":%b}}' % odd)
            assert refused == "Malformed: error parsing check-and-set parameter"

    v2(scenario)


def test_check_and_set_writes_only_on_the_version_that_it_names(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        async def write(cas: Any) -> str:
            try:
                answer = await kv("POST", "data/a", {"data": {}, "options": {"cas": cas}})
            except VaultError as error:
                return str(error)
            return str(answer.data["version"])

        mismatch = MISMATCH.removeprefix("Malformed: ")
        assert await write(1) == mismatch
        assert await write(0) == "1"
        assert await write(0) == mismatch
        assert await write("1") == "2"
        assert await write("0x2") == "3"
        unreadable: tuple[Any, ...] = ("x", 1.5, [1], {}, " 9 ", "1e0", 99999999999999999999)
        for cas in unreadable:
            assert await write(cas) == "error parsing check-and-set parameter"
        zeros: tuple[Any, ...] = (None, False, "", -1)
        for cas in zeros:
            assert await write(cas) == mismatch
        await kv("DELETE", "data/a")
        assert await write(0) == mismatch  # a deleted version is a version
        assert await write(3) == "4"
        assert (await kv("POST", "data/a", {"data": {}, "options": {}})).data["version"] == 5
        assert (await kv("POST", "data/a", {"data": {}, "options": None})).data["version"] == 6

    v2(scenario)


@pytest.mark.parametrize("place", ["config", "metadata/a"])
def test_check_and_set_can_be_required_of_the_mount_or_of_the_secret(v2: Play, place: str) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", place, {"cas_required": True})
        assert await kv.refused("POST", "data/a", {"data": {}}) == REQUIRED
        assert await kv.refused("POST", "data/a", {"data": {}, "options": {}}) == REQUIRED
        assert (await kv("POST", "data/a", {"data": {}, "options": {"cas": 0}})).data["version"] == 1
        assert await kv.refused("PATCH", "data/a", {"data": {}}) == REQUIRED
        assert (await kv("PATCH", "data/a", {"data": {}, "options": {"cas": 1}})).data["version"] == 2

    v2(scenario)


def test_a_patch_writes_a_new_version_and_leaves_the_old_one(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", {"a": 1, "b": {"c": 1, "d": [1, 2]}, "x": "s"})
        change = {"a": None, "b": {"c": None, "e": {"f": None, "g": 1}}, "x": {"y": None}, "l": [None]}
        assert (await kv("PATCH", "data/a", {"data": change})).data["version"] == 2
        assert (await kv("GET", "data/a")).data["data"] == {
            "b": {"d": [1, 2], "e": {"g": 1}},
            "x": {},
            "l": [None],
        }
        assert (await kv("GET", "data/a", version=1)).data["data"]["a"] == 1
        assert await kv.refused("PATCH", "data/a", {"data": {}, "options": {"cas": 1}}) == MISMATCH
        assert (await kv("PATCH", "data/a", {"data": {}, "options": {"cas": 2}})).data["version"] == 3
        assert await kv.refused("PATCH", "data/a", {}) == "Malformed: no data provided"
        assert (await kv.refused("PATCH", "data/a", {"data": "x"})).startswith(
            "Malformed: Field validation failed: "
        )

    v2(scenario)


def test_a_patch_of_nothing_is_404_and_of_a_deleted_version_says_which(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/empty", {"max_versions": 3})
        for path in ("data/nope", "data/empty"):
            answer = await kv("PATCH", path, {"data": {}})
            assert (answer.status, answer.raw) == (404, b"")
        wrong = {"data": {}, "options": {"cas": 1}}
        assert (await kv("PATCH", "data/nope", wrong)).status == 404
        assert await kv.refused("PATCH", "data/empty", wrong) == MISMATCH
        assert await kv.refused("PATCH", "data/nope", {}) == "Malformed: no data provided"
        await _write(kv, "a", {"v": 1})
        await kv("DELETE", "data/a")
        assert await kv.refused("PATCH", "data/a", {"data": {}, "options": {"cas": 5}}) == MISMATCH
        answer = await kv("PATCH", "data/a", {"data": {}})
        assert (answer.status, answer.data["version"]) == (404, 1)
        assert answer.data["deletion_time"] != ""

    v2(scenario)


def test_subkeys_show_the_shape_and_no_value(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", {"v": "hunter2", "n": {"x": 1, "y": [{"z": 2}], "o": {"p": {"q": 1}}}, "e": {}})
        whole = {"v": None, "n": {"x": None, "y": None, "o": {"p": {"q": None}}}, "e": None}
        two = {"v": None, "n": {"x": None, "y": None, "o": None}, "e": None}
        one = {"v": None, "n": None, "e": None}
        for depth, expected in ((0, whole), (1, one), (2, two), (-1, one), (99, whole)):
            assert (await kv("GET", "subkeys/a", depth=depth)).data["subkeys"] == expected
        assert (await kv("GET", "subkeys/a", version=1)).data["metadata"]["version"] == 1
        assert await kv.refused("GET", "subkeys/a", version=2) == "NotFound: "
        assert await kv.refused("GET", "subkeys/nope") == "NotFound: "
        await kv("POST", "destroy/a", {"versions": 1})
        answer = await kv("GET", "subkeys/a")
        assert (answer.status, answer.data["subkeys"]) == (404, None)
        assert answer.data["metadata"]["destroyed"] is True

    v2(scenario)


def test_a_path_of_version_1_is_explained(v2: Play) -> None:
    invalid = (
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
        "If using the OpenBao CLI, use 'bao kv {}' for this operation."
    )

    async def scenario(kv: Driver) -> None:
        for method, path, command in (
            ("GET", "foo", "get"),
            ("POST", "foo", "put"),
            ("DELETE", "foo", "delete"),
            ("LIST", "foo/", "list"),
            ("SCAN", "", "scan"),
            ("PATCH", "foo", "patch"),
            ("GET", "config/x", "get"),
            ("GET", "subkeys", "get"),
            ("GET", "detailed-metadata", "get"),
            ("GET", "databar", "get"),
        ):
            answer = await kv(method, path, {} if method in {"POST", "PATCH"} else None)
            assert (answer.status, answer.warnings) == (404, [invalid.format(command)])
        for method in ("GET", "POST", "DELETE", "PATCH"):
            for path in ("data", "metadata", "delete", "undelete", "destroy"):
                answer = await kv(method, path)
                assert answer.status == 404
                assert answer.warnings == [
                    "Non-listing operations on the root of a K/V v2 mount are not supported."
                ]

    v2(scenario)


def test_a_verb_that_a_path_does_not_take_is_refused_as_such(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        for method, path in (
            ("LIST", "data/"),
            ("SCAN", "data/a/"),
            ("GET", "delete/a"),
            ("GET", "destroy/a"),
            ("LIST", "subkeys/a/"),
            ("POST", "subkeys/a"),
            ("PATCH", "config"),
            ("DELETE", "config"),
            ("GET", "detailed-metadata/a"),
        ):
            assert await kv.refused(method, path) == "UnsupportedOperation: unsupported operation"

    v2(scenario)


def test_writing_what_exists_is_an_update_even_when_it_is_deleted(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        assert await kv.operation("POST", "data/a") is Operation.CREATE
        assert await kv.operation("POST", "metadata/a") is Operation.CREATE
        assert await kv.operation("POST", "config") is Operation.UPDATE
        for verb in ("delete", "undelete", "destroy"):
            assert await kv.operation("POST", f"{verb}/a") is Operation.UPDATE
        await kv("POST", "metadata/a", {"max_versions": 3})
        assert await kv.operation("POST", "data/a") is Operation.UPDATE
        await _write(kv, "a", {})
        await kv("POST", "destroy/a", {"versions": [1]})
        assert await kv.operation("POST", "data/a") is Operation.UPDATE
        assert await kv.operation("POST", "metadata/a") is Operation.UPDATE

    v2(scenario)


def test_unknown_fields_are_ignored_with_a_warning(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        written = await kv("POST", "data/a", {"data": {}, "zz": 1, "version": 1})
        assert written.warnings == ["Endpoint ignored these unrecognized parameters: [zz]"]

    v2(scenario)

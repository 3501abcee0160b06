# SPDX-License-Identifier: EUPL-1.2
from typing import Any

import pytest

from tests.unit.engines.driver import Driver
from tests.unit.engines.kv.conftest import Play

NOTHING = {
    "cas_required": False,
    "delete_version_after": "0s",
    "max_versions": 0,
    "metadata_cas_required": False,
}
MISMATCH = "Malformed: metadata check-and-set parameter does not match the current version"
REQUIRED = "Malformed: metadata check-and-set parameter required for this call"


async def _custom(kv: Driver) -> Any:
    return (await kv("GET", "metadata/a")).data["custom_metadata"]


def test_the_mounts_settings_change_one_by_one(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        assert (await kv("GET", "config")).data == NOTHING
        for body, expected in (
            ({}, {}),
            ({"max_versions": 5}, {"max_versions": 5}),
            ({"delete_version_after": "1h30m"}, {"max_versions": 5, "delete_version_after": "1h30m0s"}),
            ({"delete_version_after": None}, {"max_versions": 5, "delete_version_after": "1h30m0s"}),
            ({"max_versions": None, "delete_version_after": "90"}, {"delete_version_after": "1m30s"}),
            ({"delete_version_after": "-5s"}, {"delete_version_after": "-1s"}),
            ({"delete_version_after": "500ms", "max_versions": -1}, {"max_versions": 4294967295}),
            ({"max_versions": 4294967297, "cas_required": "true"}, {"max_versions": 1, "cas_required": True}),
            ({"cas_required": None, "max_versions": "0x0"}, {}),
            ({"metadata_cas_required": True}, {"metadata_cas_required": True}),
        ):
            assert (await kv("POST", "config", body)).status == 204
            assert (await kv("GET", "config")).data == {**NOTHING, **expected}
        assert (await kv.refused("POST", "config", {"delete_version_after": "abc"})).startswith(
            'Malformed: Field validation failed: error converting input for field "delete_version_after": time: invalid'
        )

    v2(scenario)


def test_metadata_can_come_before_the_first_version(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        assert await kv.refused("GET", "metadata/a") == "NotFound: "
        for nothing in ({}, {"zz": 1}, {"metadata_cas": 3}, {"delete_version_after": None}):
            assert (await kv("POST", "metadata/a", nothing)).status == 204
        assert await kv.stored() == []
        body = {
            "max_versions": 3,
            "delete_version_after": "1h",
            "custom_metadata": {"a": "b", "n": 5, "t": True},
        }
        assert (await kv("POST", "metadata/a", body)).status == 204
        read = (await kv("GET", "metadata/a")).data
        assert read.pop("created_time") == read.pop("updated_time") != ""
        assert read == {
            "cas_required": False,
            "current_metadata_version": 1,
            "current_version": 0,
            "custom_metadata": {"a": "b", "n": "5", "t": "1"},
            "delete_version_after": "1h0m0s",
            "max_versions": 3,
            "metadata_cas_required": False,
            "oldest_version": 0,
            "versions": {},
        }
        assert await kv.refused("GET", "data/a") == "NotFound: "
        assert await kv.refused("GET", "subkeys/a") == "NotFound: "
        written = await kv("POST", "data/a", {"data": {}})
        assert written.data["custom_metadata"] == {"a": "b", "n": "5", "t": "1"}

    v2(scenario)


def test_times_tell_writing_apart_from_deleting(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "data/a", {"data": {}})
        first = (await kv("GET", "metadata/a")).data
        assert first["created_time"] == first["updated_time"] == first["versions"]["1"]["created_time"]
        for method, path, body in (
            ("DELETE", "data/a", None),
            ("POST", "undelete/a", {"versions": [1]}),
            ("POST", "destroy/a", {"versions": [1]}),
        ):
            await kv(method, path, body)
            assert (await kv("GET", "metadata/a")).data["updated_time"] == first["updated_time"]
        await kv("POST", "metadata/a", {"cas_required": False})
        changed = (await kv("GET", "metadata/a")).data
        assert changed["updated_time"] > changed["created_time"] == first["created_time"]
        assert (changed["current_metadata_version"], first["current_metadata_version"]) == (1, 0)

    v2(scenario)


def test_null_is_the_default_when_settings_are_replaced(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv(
            "POST",
            "metadata/a",
            {
                "max_versions": 3,
                "cas_required": True,
                "delete_version_after": "5s",
                "custom_metadata": {"a": "b"},
            },
        )
        await kv("POST", "metadata/a", {"max_versions": None})
        await kv("POST", "metadata/a", {"cas_required": None, "delete_version_after": None})
        await kv("POST", "metadata/a", {"custom_metadata": None})
        read = (await kv("GET", "metadata/a")).data
        assert (read["max_versions"], read["cas_required"], read["custom_metadata"]) == (0, False, None)
        assert (read["delete_version_after"], read["current_metadata_version"]) == ("5s", 4)
        await kv("POST", "metadata/a", {"delete_version_after": 0, "custom_metadata": {}})
        assert (await kv("GET", "metadata/a")).data["delete_version_after"] == "0s"

    v2(scenario)


def test_custom_metadata_is_replaced_by_a_write_and_merged_by_a_patch(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/a", {"custom_metadata": {"a": "1", "b": "2"}})
        await kv("POST", "metadata/a", {"custom_metadata": {"c": "3"}})
        assert await _custom(kv) == {"c": "3"}
        await kv(
            "PATCH",
            "metadata/a",
            {"custom_metadata": {"c": None, "d": "4", "e": "5", "gone": None, "": None}},
        )
        assert await _custom(kv) == {"d": "4", "e": "5"}
        await kv("PATCH", "metadata/a", {"custom_metadata": {}})
        assert await _custom(kv) == {"d": "4", "e": "5"}
        await kv("PATCH", "metadata/a", {"max_versions": 2})
        assert await _custom(kv) == {"d": "4", "e": "5"}
        await kv("PATCH", "metadata/a", {"custom_metadata": None})
        assert await _custom(kv) is None

    v2(scenario)


def _length(key: str, size: int) -> str:
    return f'length of value for key "{key}" is {size} but must be 0 < len(value) <= 512'


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"a": ""}, [_length("a", 0)]),
        ({"n": "v" * 513}, [_length("n", 513)]),
        ({"n": "é" * 300}, [_length("n", 600)]),
        ({"": "x"}, ['length of key "" is 0 but must be 0 < len(key) <= 128']),
        ({"k" * 129: "x"}, [f'length of key "{"k" * 128}…" is 129 but must be 0 < len(key) <= 128']),
        ({str(n): "x" for n in range(65)}, ["payload must contain at most 64 keys, provided 65"]),
        ({"n\x01": "x"}, ['key "n\\x01" (n�) contains unprintable characters']),
        ({"n": "a\nb"}, ['value for key "n" contains unprintable characters']),
        ({'"': "\u2028"}, ['value for key "\\"" contains unprintable characters']),
        ({"a": "", "n": "v" * 600}, [_length("a", 0), _length("n", 600)]),
    ],
)
def test_custom_metadata_over_a_limit_is_refused_with_every_fault(
    v2: Play, method: str, given: dict[str, str], faults: list[str]
) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/a", {"custom_metadata": {"kept": "x"}})
        head = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
        lines = "".join(f"\t* custom_metadata validation failed: {fault}\n" for fault in faults)
        refusal = await kv.refused(method, "metadata/a", {"custom_metadata": given})
        assert refusal == f"Malformed: {head} occurred:\n{lines}\n"
        assert await _custom(kv) == {"kept": "x"}

    v2(scenario)


def test_custom_metadata_at_its_limits_is_taken(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        full = {f"{n:0128}": "v" * 512 for n in range(64)}
        await kv("POST", "metadata/a", {"custom_metadata": full})
        assert await _custom(kv) == full
        await kv("PATCH", "metadata/a", {"custom_metadata": dict.fromkeys((*full, "x"))})
        assert await _custom(kv) is None

    v2(scenario)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_custom_metadata_of_other_types_is_refused(v2: Play, method: str) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/a", {"max_versions": 1})
        for value, kind in (({}, "map[string]interface {}"), ([1], "[]interface {}")):
            assert await kv.refused(method, "metadata/a", {"custom_metadata": {"a": value}}) == (
                f"Malformed: custom_metadata validation failed: '' expected type 'string', got unconvertible type '{kind}'"
            )
        bare = "" if method == "POST" else "Field validation failed: "
        assert await kv.refused(method, "metadata/a", {"custom_metadata": "x"}) == (
            f"Malformed: {bare}error converting input for field \"custom_metadata\": '' expected type "
            "'map[string]interface {}', got unconvertible type 'string'"
        )
        assert (await kv.refused(method, "metadata/a", {"max_versions": "x"})).startswith(
            f'Malformed: {bare}error converting input for field "max_versions"'
        )
        assert await kv.refused(method, "metadata/a", {"delete_version_after": "-1s"}) == (
            f'Malformed: {bare}error converting input for field "delete_version_after": cannot provide negative value'
        )

    v2(scenario)


def test_a_patch_takes_only_strings_as_custom_metadata(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/a", {"max_versions": 1})
        for value, kind in ((3, "number"), (1.5, "number"), (True, "bool")):
            assert await kv.refused("PATCH", "metadata/a", {"custom_metadata": {"c": value}}) == (
                f"Malformed: json: cannot unmarshal {kind} into Go struct field .custom_metadata.c of type string"
            )
        assert (await kv.refused("PATCH", "metadata/a", {"max_versions": -1})).endswith("of type uint32")
        assert (await kv("PATCH", "metadata/nope", {"custom_metadata": {"c": 3}})).status == 404
        body = {"custom_metadata": {"c": 3}, "metadata_cas": 9}
        assert await kv.refused("PATCH", "metadata/a", body) == MISMATCH

    v2(scenario)


def test_a_patch_of_metadata_changes_what_it_names(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        for nothing in ({}, {"zz": 1}, {"metadata_cas": 7}):
            assert (await kv("PATCH", "metadata/nope", nothing)).status == 204
        answer = await kv("PATCH", "metadata/nope", {"max_versions": 1, "metadata_cas": 5})
        assert (answer.status, answer.raw) == (404, b"")
        await kv("POST", "data/a", {"data": {}})
        for body, expected in (
            ({"max_versions": 5, "cas_required": True, "delete_version_after": "10s"}, (5, True, "10s", 1)),
            (
                {"max_versions": None, "cas_required": None, "delete_version_after": None},
                (0, False, "10s", 2),
            ),
            ({"delete_version_after": 0}, (0, False, "10s", 3)),
            ({"cas_required": "true"}, (0, True, "10s", 4)),
            ({"custom_metadata": {"zz": None}}, (0, True, "10s", 5)),
        ):
            assert (await kv("PATCH", "metadata/a", body)).status == 204
            data = (await kv("GET", "metadata/a")).data
            keys = ("max_versions", "cas_required", "delete_version_after", "current_metadata_version")
            assert tuple(data[key] for key in keys) == expected

    v2(scenario)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_metadata_has_a_check_and_set_of_its_own(v2: Play, method: str) -> None:
    async def scenario(kv: Driver) -> None:
        assert await kv.refused("POST", "metadata/a", {"max_versions": 2, "metadata_cas": 3}) == (
            "Malformed: metadata_cas must be 0 when creating new metadata"
        )
        await kv("POST", "metadata/a", {"max_versions": 2, "metadata_cas": 0})
        for cas in (0, 2, -1, None):
            assert (
                await kv.refused(method, "metadata/a", {"max_versions": 3, "metadata_cas": cas}) == MISMATCH
            )
        await kv(method, "metadata/a", {"max_versions": 3, "metadata_cas": 1})
        await kv(method, "metadata/a", {"metadata_cas_required": True})
        assert await kv.refused(method, "metadata/a", {"max_versions": 4}) == REQUIRED
        await kv(method, "metadata/a", {"metadata_cas_required": False, "metadata_cas": 3})
        await kv(method, "metadata/a", {"max_versions": 4})
        assert (await kv("GET", "metadata/a")).data["max_versions"] == 4

    v2(scenario)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("name", ["cas_required", "metadata_cas_required"])
def test_a_secret_cannot_switch_off_what_the_mount_requires(v2: Play, method: str, name: str) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/a", {"max_versions": 1})
        await kv("POST", "config", {name: True})
        answer = await kv(method, "metadata/a", {name: False, "metadata_cas": 1})
        assert (answer.status, answer.data) == (200, None)
        assert answer.warnings == [
            f'"{name}" set to false, but is mandated by backend config. This value will be ignored.'
        ]
        assert (await kv(method, "metadata/a", {name: True, "metadata_cas": 2})).status == 204
        if name == "metadata_cas_required":
            assert await kv.refused("POST", "metadata/new", {"max_versions": 1}) == REQUIRED
            assert (await kv("POST", "metadata/new", {"max_versions": 1, "metadata_cas": 0})).status == 204

    v2(scenario)

# SPDX-License-Identifier: EUPL-1.2
"""OpenAPI of a profile: its own operations and what they refer to, as they are on the wire."""

from typing import Any

from vault.server.profile_spec import documents

_NAMED = {
    "200": {
        "description": "OK",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}},
    }
}
_WHOLE: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/secret/data/{path}": {
            "get": {"responses": _NAMED},
            "post": {"responses": {"204": {"description": "Done."}}},
        },
        "/secret/metadata/{path}": {
            "get": {"responses": {"200": {"description": "OK"}}},
            "delete": {"responses": {"204": {"description": "Done."}}},
        },
        "/sys/health": {"get": {"responses": _NAMED}},
        "/totp/keys": {"get": {"responses": {}}},
    },
    "components": {
        "schemas": {
            "A": {"properties": {"b": {"type": "array", "items": {"$ref": "#/components/schemas/B"}}}},
            "B": {"type": "string"},
            "C": {"type": "string"},
        },
        "securitySchemes": {"token": {}},
    },
}


def test_a_profile_has_its_operations_and_the_general_ones() -> None:
    found = dict(documents(_WHOLE))
    assert {name: {path: [*item] for path, item in one["paths"].items()} for name, one in found.items()} == {
        "kv-consume": {
            "/secret/data/{path}": ["get", "post"],
            "/secret/metadata/{path}": ["get"],
            "/sys/health": ["get"],
        },
        "kv-manage": {"/secret/metadata/{path}": ["get", "delete"], "/sys/health": ["get"]},
    }


def test_it_has_the_schemas_that_it_refers_to_and_no_other() -> None:
    found = dict(documents(_WHOLE))
    assert [*found["kv-consume"]["components"]["schemas"]] == ["A", "B"]


def test_answers_have_what_is_around_them_on_the_wire_but_for_those_that_have_nothing() -> None:
    paths = dict(documents(_WHOLE))["kv-consume"]["paths"]

    def schema(path: str) -> Any:
        return paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    read = schema("/secret/data/{path}")
    assert (read["required"], read["properties"]["data"]) == (
        ["request_id"],
        {"$ref": "#/components/schemas/A"},
    )
    assert "data" in schema("/secret/metadata/{path}")["properties"]
    assert schema("/sys/health") == {"$ref": "#/components/schemas/A"}
    assert all("default" in one["responses"] for item in paths.values() for one in item.values())


def test_the_whole_document_stays_as_it_is() -> None:
    before = repr(_WHOLE)
    dict(documents(_WHOLE))
    assert repr(_WHOLE) == before

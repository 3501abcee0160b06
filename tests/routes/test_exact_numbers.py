# SPDX-License-Identifier: EUPL-1.2
"""Numbers of secrets keep their digits on every way through the server, and stand in clear in no record (ESA-KV-002)."""

import json
import re
from typing import Any

import pytest

from tests.routes.driver import Application
from tests.shared import Shared

NUMBERS = (
    *(
        "4711471147114711.10",
        "9007199254740993",
        "-18446744073709551617",
        "1e400",
        "-1E-400",
        "0.1000",
        "1.0",
        "-0",
    ),
    *("3.141592653589793238462643383279502884", "9" * 308),
)
WAYS = ("secret/data/exact", "plain/exact")
_HASH = re.compile(r'"\$h": "([^"]+)"')
SECRETS = (NUMBERS[0], NUMBERS[1], NUMBERS[8])


def _body(path: str, numbers: tuple[str, ...] = NUMBERS) -> bytes:
    text = f'{{"n":[{", ".join(numbers)}],"id":"2026-0-1e-0"}}'
    return (f'{{"data": {text}}}' if "data" in path else text).encode()


def _numbers(body: bytes) -> list[str]:
    """The numbers of a secret in an answer, as they are spelled."""
    found: Any = json.loads(body, parse_float=str, parse_int=str)["data"]
    numbers: list[str] = found.get("data", found)["n"]
    return numbers


@pytest.mark.parametrize("path", WAYS)
def test_numbers_come_back_with_their_digits(application: Application, path: str) -> None:
    for _ in range(3):
        answer = application.request("POST", f"/v1/{path}", _body(path), token="root")
        assert answer.status in {200, 204}, answer.body
        for _ in range(3):  # by a plan too
            found = application.request("GET", f"/v1/{path}", token="root")
            assert _numbers(found.body) == [*NUMBERS]
    wrapped = application.request("GET", f"/v1/{path}", token="root", headers={"x-vault-wrap-ttl": "60"})
    token = wrapped.json()["wrap_info"]["token"]
    assert _numbers(application.request("POST", "/v1/sys/wrapping/unwrap", token=token).body) == [*NUMBERS]


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_server_that_learns_of_the_mount_while_it_is_written_keeps_them(
    shared: Shared, version: str
) -> None:
    """The path leads nowhere at first, where a body's numbers would be read as any others'."""
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        made = {"type": "kv", "options": {"version": version}}
        assert one.request("POST", "/v1/sys/mounts/anew", made, token="root").status == 204
        path = "anew/data/exact" if version == "2" else "anew/exact"
        floats = NUMBERS[0], "0.1000"  # as any others', they would be read, and be others
        assert other.request("POST", f"/v1/{path}", _body(path, floats), token="root").status in {200, 204}
        assert _numbers(one.request("GET", f"/v1/{path}", token="root").body) == [*floats]


def test_a_patch_and_an_upgrade_keep_them(application: Application) -> None:
    application.request("POST", f"/v1/{WAYS[0]}", _body(WAYS[0]), token="root")
    patch = b'{"data":{"more":[1.10,-0]}}'
    assert application.request("PATCH", f"/v1/{WAYS[0]}", patch, token="root").status == 200
    found = application.request("GET", f"/v1/{WAYS[0]}", token="root").body
    assert _numbers(found) == [*NUMBERS] and b'"more":[1.10,-0]' in found
    application.request("POST", f"/v1/{WAYS[1]}", _body(WAYS[1]), token="root")
    tune = {"options": {"version": "2"}}
    assert application.request("POST", "/v1/sys/mounts/plain/tune", tune, token="root").status in {200, 204}
    assert _numbers(application.request("GET", "/v1/plain/data/exact", token="root").body) == [*NUMBERS]


@pytest.mark.parametrize("path", WAYS)
def test_no_record_has_them(application: Application, path: str) -> None:
    application.request("POST", f"/v1/{path}", _body(path), token="root")
    application.request("GET", f"/v1/{path}", token="root")
    records, told = application.records(), application.logged()
    assert len(records) >= 4 and told
    for said in (json.dumps(records), json.dumps(told)):
        assert not [number for number in SECRETS if number in said or number[:12] in said]


@pytest.mark.parametrize("path", WAYS)
@pytest.mark.asked_alone("reads the log of one process")
def test_a_number_that_is_written_and_read_has_one_hash(application: Application, path: str) -> None:
    application.request("POST", f"/v1/{path}", _body(path, ("1.10",)), token="root")
    application.request("GET", f"/v1/{path}", token="root")
    written, read = ({*_HASH.findall(json.dumps(record))} for record in application.logged()[-2:])
    assert len(written) == 2 and written == read


@pytest.mark.parametrize(
    "path", ["auth/token/create", "sys/wrapping/wrap", "cubbyhole/a", "secret/metadata/x"]
)
def test_elsewhere_a_number_beyond_a_float_is_refused(application: Application, path: str) -> None:
    answer = application.request("POST", f"/v1/{path}", b'{"ttl":1e400}', token="root")
    why = "failed to decode JSON input: json: cannot unmarshal number into Go value of type float64"
    assert (answer.status, answer.json()["errors"]) == (400, [why])


@pytest.mark.parametrize("path", WAYS)
def test_digits_have_a_limit(application: Application, path: str) -> None:
    answer = application.request("POST", f"/v1/{path}", _body(path, ("9" * 309,)), token="root")
    assert answer.status == 400 and "999" not in answer.body.decode()


@pytest.mark.parametrize("number", ["1.5", "1e400", "-0", "-0.0"])
@pytest.mark.parametrize("path", WAYS)
def test_a_number_in_the_place_of_something_else_is_refused(
    application: Application, path: str, number: str
) -> None:
    answer = application.request("POST", f"/v1/{path}", number.encode(), token="root")
    assert (answer.status, number in answer.body.decode()) == (400, False)
    assert b"cannot unmarshal number into Go value of type map[string]interface {}" in answer.body
    body = f'{{"data":{{}},"version":{number}}}'.encode()
    answer = application.request("POST", f"/v1/{WAYS[0]}", body, token="root")
    assert answer.status == 400
    assert b"cannot parse value as 'int': strconv.ParseInt: invalid syntax" in answer.body

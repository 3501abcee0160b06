# SPDX-License-Identifier: EUPL-1.2
"""What a record holds: a keyed hash in place of every string, unless the operator asked for less."""

import hashlib
import hmac
import json
from argparse import Namespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import fill_call, mount_facts
from tests.unit.engines.driver import who
from vault.audit.hasher import Hasher, TooManyValues
from vault.audit.record import Renderer
from vault.framework import schema
from vault.framework.call import NOWHERE, Call
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import FieldKind, Json
from vault.framework.reply import Auth, Reply
from vault.framework.request.operation import Operation
from vault.framework.route import Access, Parameter, Params, Route
from vault.framework.secret import Secret
from vault.policy.decision.acl import AclVerdict
from vault.values.ids import LeaseId, TokenAccessor
from vault.values.times import Nanos, Seconds

KEY = b"k" * 32
_TIMES = (Nanos(1), Nanos(2))
MOUNT = mount_facts(clear_request_keys=frozenset({"clear"}), clear_response_keys=frozenset({"open"}))
_LEAVES = st.none() | st.booleans() | st.integers() | st.text()
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


def _hashed(text: str) -> str:
    return "hmac-sha256:" + hmac.digest(KEY, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def _renderer(
    *, raw: bool = False, hash_accessor: bool = True, strings_only: bool = False, **options: Any
) -> Renderer:
    hasher = Hasher(KEY, raw=raw, hash_accessor=hash_accessor, strings_only=strings_only)
    return Renderer(hasher, raw=raw, **options)


def _call(**fields: Any) -> Call:
    call = Call()
    fill_call(call, id="id", path="secret/a", operation=Operation.READ, mount=MOUNT)
    call.client_address, call.client_port = "127.0.0.1", 4711
    call.token = Secret("s.hunter2")
    return fill_call(call, **fields)


def _response(renderer: Renderer, call: Call, reply: Reply[Any] | None, **more: Any) -> Any:
    return json.loads(renderer.response(call, reply, Nanos(1), more.get("headers", {}), more.get("error")))


def _expected(value: Any) -> Any:
    if isinstance(value, str):
        return _hashed(value)
    if isinstance(value, dict):
        return {key: _expected(item) for key, item in value.items()}
    return [_expected(item) for item in value] if isinstance(value, list) else value


@given(_TREES)
def test_sl_50_every_string_is_hashed_and_nothing_else_is_changed(value: Any) -> None:
    hasher = Hasher(KEY, raw=False, hash_accessor=True)
    for _ in range(2):
        assert hasher.tree(value) == _expected(value)


@pytest.mark.parametrize("length", [0, 1, 29, 30, 31, 32, 5000])
@pytest.mark.parametrize("letter", ["x", "Z", "é", "\ud800"])
def test_sl_50_a_string_of_any_length_has_its_hash(length: int, letter: str) -> None:
    text = letter * length
    hasher = Hasher(KEY, raw=False, hash_accessor=True)
    members = Members([Member(text)])
    for _ in range(2):
        assert hasher.hidden([{text: text}]) == [{_hashed(text): _hashed(text)}]
        assert hasher.answer(members, schema.to_plain(members), frozenset(), own=False) == {
            "members": [{"text": _hashed(text), "number": 1}]
        }


class Member(msgspec.Struct):
    text: str
    number: int = 1


class Members(msgspec.Struct):
    members: list[Member]


class _Inner(msgspec.Struct):
    version: int = 7
    label: str = "x"
    free: dict[str, Any] = {}


class _Answer(msgspec.Struct, rename={"shown": "shown_as"}):
    shown: int
    inner: _Inner
    many: list[Any]
    free: Any


def _bound(*names: str, number: str = "") -> Any:
    kinds = {name: FieldKind("string") for name in names} | ({number: FieldKind("int")} if number else {})
    parameters = {
        name: Parameter(name, name, kind, "", str, in_path=False, default="") for name, kind in kinds.items()
    }
    route = Route(Operation.UPDATE, "", Access(), Params, parameters, None, "", "", "")
    return Namespace(route=route)


def _all_hashed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_hashed(key): _all_hashed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_all_hashed(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    return _hashed(value if isinstance(value, str) else schema.encode(value).decode())


@given(_TREES)
def test_sl_50_no_name_and_no_scalar_but_booleans_and_null_of_a_client_is_readable(value: Any) -> None:
    hasher = Hasher(KEY, raw=False, hash_accessor=True)
    assert hasher.hidden(value) == _all_hashed(value)
    own = hasher.answer({"a": value}, {"a": value}, frozenset(), own=True)
    assert own == {_hashed("a"): _all_hashed(value)}
    sent = hasher.request({"a": value, "b": value}, frozenset({"b"}), {})
    assert sent == {_hashed("a"): _all_hashed(value), "b": value}


def test_sl_55_what_one_record_may_hold_is_its_own() -> None:
    hasher = Hasher(KEY, raw=False, hash_accessor=True)
    with pytest.raises(TooManyValues):
        hasher.request({"a": [0] * 10_000}, frozenset(), {})
    assert hasher.answer(["b"], ["b"], frozenset(), own=False) == [_hashed("b")]


def test_what_the_api_defines_stays_readable_and_what_a_client_chose_does_not() -> None:
    data = {"cas": 5, "name": 5, "other": 5, "on": True}
    record = json.loads(
        _renderer().request(_call(data=data, bound=_bound("name", "on", number="cas")), Nanos(1), {}, None)
    )
    assert record["request"]["data"] == {
        "cas": 5,
        "name": _hashed("5"),
        _hashed("other"): _hashed("5"),
        "on": True,
    }
    free = {"hunter2": 4711, "deep": [{"hunter2": 1.5}]}
    answer = _Answer(3, _Inner(free=free), [_Inner(), {"a": 1}, 4711], free)
    told = _response(_renderer(), _call(), Reply(answer))["response"]["data"]
    inner = {"version": 7, "label": _hashed("x"), "free": {}}
    assert told == {
        "shown_as": 3,
        "inner": {**inner, "free": _all_hashed(free)},
        "many": [inner, _all_hashed({"a": 1}), _hashed("4711")],
        "free": _all_hashed(free),
    }
    fixed = _response(_renderer(), _call(), Reply({"count": 5, "by": {"hunter2": 1}, "of": {"x": _Inner()}}))
    assert fixed["response"]["data"] == {
        "count": 5,
        "by": {_hashed("hunter2"): _hashed("1")},
        "of": {_hashed("x"): inner},
    }


def test_sl_55_many_small_values_have_one_hash_together() -> None:
    def few_at_once() -> Renderer:
        return Renderer(Hasher(KEY, raw=False, hash_accessor=True, most=50))

    for data in (
        {"a": list(range(60))},
        {str(n): 1 for n in range(60)},
        {"a": {"b": {str(n): n for n in range(60)}}},
    ):
        text = json.dumps(data, separators=(",", ":"))
        many = {"hmac": _hashed(text), "length": len(text)}
        assert (
            json.loads(few_at_once().request(_call(data=data), Nanos(1), {}, None))["request"]["data"] == many
        )
        assert _response(few_at_once(), _call(), Reply(data, own_names=True))["response"]["data"] == many
    few = {"a": list(range(20))}
    for _ in range(5):
        assert "a" in _response(few_at_once(), _call(), Reply(few))["response"]["data"]


@given(_TREES)
def test_a_raw_device_changes_nothing(value: Any) -> None:
    assert Hasher(KEY, raw=True, hash_accessor=True).tree(value) == value


def test_hashes_of_times_are_kept_in_bounded_memory() -> None:
    hasher = Hasher(KEY, raw=False, hash_accessor=True, most_times=3)
    for second in range(10):
        text = f"2026-01-02T03:04:{second:02}Z"
        assert hasher.text(text) == hasher.text(text) == _hashed(text)
        assert len(hasher._times) <= 4
    hasher.text("hunter2Z")
    assert "hunter2Z" not in hasher._times


def test_accessors_stay_readable_where_the_device_says_so() -> None:
    call = _call(identity=who("x"))
    hidden = json.loads(_renderer().request(call, Nanos(1), {}, None))
    call.record.shared = None
    shown = json.loads(_renderer(hash_accessor=False).request(call, Nanos(1), {}, None))
    assert hidden["auth"]["accessor"] == _hashed("accessor-x")
    assert shown["auth"]["accessor"] == shown["request"]["client_token_accessor"] == "accessor-x"
    assert shown["auth"]["client_token"] == _hashed("s.x")


def test_only_the_keys_that_the_mount_names_stay_readable() -> None:
    call = _call(data={"clear": "a", "dark": "b", "deep": {"clear": "c"}}, bound=_bound("dark", "deep"))
    record = json.loads(_renderer().request(call, Nanos(1), {}, None))
    assert record["request"]["data"] == {
        "clear": "a",
        "dark": _hashed("b"),
        "deep": {_hashed("clear"): _hashed("c")},
    }
    answer = _response(_renderer(), call, Reply({"open": "a", "dark": "b"}))
    assert answer["response"]["data"] == {"open": "a", "dark": _hashed("b")}


def test_lists_are_counted_where_the_device_says_so() -> None:
    data = {"keys": ["a", "b"], "key_info": {"a": {}, "b": {}}, "other": ["c"]}
    call = _call(operation=Operation.LIST)
    answer = _response(_renderer(elide_lists=True), call, Reply(data))
    assert answer["response"]["data"] == {"keys": 2, "key_info": 2, "other": [_hashed("c")]}
    read = _response(_renderer(elide_lists=True), _call(), Reply(data))
    assert read["response"]["data"]["keys"] == [_hashed("a"), _hashed("b")]


def test_a_body_that_is_no_json_is_recorded_by_its_hash() -> None:
    answer = _response(_renderer(), _call(), Reply(raw=b"hunter2\xff", content_type="text/plain", status=201))
    assert answer["response"]["data"] == {
        "http_content_type": _hashed("text/plain"),
        "http_raw_body": _hashed("hunter2\xff"),
        "http_status_code": 201,
    }
    assert _response(_renderer(), _call(), Reply(raw=b""))["response"]["data"]["http_status_code"] == 200


def test_data_that_is_no_object_is_hashed_too() -> None:
    assert _response(_renderer(), _call(), Reply(["a", 1]))["response"]["data"] == [
        _hashed("a"),
        _hashed("1"),
    ]
    old = _response(_renderer(strings_only=True), _call(), Reply(["a", 1]))
    assert old["response"]["data"] == [_hashed("a"), 1]


def test_sl_55_what_is_too_long_is_recorded_by_its_digest() -> None:
    call = _call(data={"a": list(range(200))})
    record = json.loads(_renderer(strings_only=True, largest=200).request(call, Nanos(1), {}, None))
    text = json.dumps(call.data, separators=(",", ":")).encode()
    assert record["request"]["data"] == {"sha256": hashlib.sha256(text).hexdigest(), "length": len(text)}


def test_leases_and_new_tokens_are_named() -> None:
    auth = Auth(
        client_token="s.new",
        accessor=TokenAccessor("acc"),
        policies=["p"],
        lease_duration=Seconds(60),
        token_type="service",
    )
    reply: Reply[Any] = Reply(
        auth=auth, lease_id=LeaseId("secret/a/x"), warnings=["careful"], issued=Nanos(5), display_name="token"
    )
    body = _response(_renderer(), _call(), reply)["response"]
    assert body["secret"] == {"lease_id": "secret/a/x"}
    assert body["warnings"] == ["careful"]
    assert body["auth"] == {
        "client_token": _hashed("s.new"),
        "accessor": _hashed("acc"),
        "display_name": "token",
        "policies": ["p"],
        "token_policies": ["p"],
        "token_type": "service",
        "token_ttl": 60,
        "token_issue_time": "1970-01-01T00:00:00Z",
    }
    assert _response(_renderer(), _call(), Reply({}, lease_duration=Seconds(60)))["response"]["secret"] == {}


def test_headers_are_recorded_as_configured_whatever_their_case() -> None:
    call = _call(headers=[(b"X-Seen", b"a"), (b"x-seen", b"b"), (b"X-Hidden", b"c"), (b"X-Other", b"d")])
    record = json.loads(_renderer().request(call, Nanos(1), {"x-seen": False, "x-hidden": True}, None))
    assert record["request"]["headers"] == {"x-seen": ["a", "b"], "x-hidden": [_hashed("c")]}
    bare = json.loads(
        _renderer().request(_call(headers=[(b"X-Other", b"d")]), Nanos(1), {"x-seen": False}, None)
    )
    assert "headers" not in bare["request"]


def test_a_refusal_is_named_and_nothing_to_find_is_none() -> None:
    refused = _response(_renderer(), _call(), None, error=Malformed("no such field"))
    assert refused["error"] == "no such field"
    assert refused["response"]["data"] == {"error": _hashed("no such field")}
    missing = _response(_renderer(), _call(), None, error=NotFound())
    assert "error" not in missing
    assert "data" not in missing["response"]
    listed = _response(_renderer(), _call(), None, error=Malformed("no such field", chained=True))
    assert listed["error"] == "1 error occurred:\n\t* no such field\n\n"
    assert "data" not in listed["response"]


def test_a_prefix_stands_before_every_line() -> None:
    line = _renderer(prefix=b"@cee: ").request(_call(), Nanos(1), {}, None)
    assert line.startswith(b'@cee: {"time":"1970-01-01T00:00:00.000000001Z","type":"request"')
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1


def test_what_is_remembered_of_an_answer_is_its_hashes_and_never_with_a_raw_device() -> None:
    for raw in (False, True):
        renderer = _renderer(raw=raw)
        reply: Reply[Any] = Reply({"a": "hunter2"}, same="a-1")
        first = renderer.response(_call(), reply, Nanos(1), {}, None)
        assert renderer.response(_call(), reply, Nanos(1), {}, None) == first
        assert "hunter2" not in repr(renderer._replies._entries)
        assert len(renderer._replies) == (0 if raw else 1)
        reply.warnings = ["careful"]
        assert b"careful" in renderer.response(_call(), reply, Nanos(1), {}, None)


def test_mounts_that_are_remembered_are_bounded() -> None:
    renderer = _renderer(most_mounts=3)
    for number in range(10):
        mount = mount_facts(uuid=str(number), path=f"m{number}/", accessor=f"kv_{number}")
        record = json.loads(renderer.request(_call(mount=mount), Nanos(1), {}, None))
        assert record["request"]["mount_point"] == f"m{number}/"
        assert len(renderer._mounts) <= 4


def test_what_is_kept_of_a_place_is_of_this_caller_this_decision_and_this_mount() -> None:
    renderer, kept = _renderer(), _renderer()
    moved = mount_facts(accessor="kv_2")
    allowed, refused = AclVerdict(allowed=True, granting=("one",)), AclVerdict(allowed=False)
    first, second = who("x"), who("x")
    second.policies = ("two",)
    base: dict[str, Any] = {"identity": first, "decision": allowed, "mount": MOUNT}
    for change in ({"identity": second}, {"decision": refused}, {"mount": moved}, {"path": "secret/b"}):
        for fields in (base, {**base, **change}, base):
            line = kept.exchange(_call(**fields), None, _TIMES, {}, None)
            one, two = line.splitlines(keepends=True)
            fresh = _renderer()
            assert one == fresh.request(_call(**fields), Nanos(1), {}, None)
            assert two == fresh.response(_call(**fields), None, Nanos(2), {}, None)
            assert b'"id":"other"' in kept.exchange(_call(id="other", **fields), None, _TIMES, {}, None)
    assert len(kept._places) == 2
    long = _call(identity=first, decision=allowed, path="secret/" + "a" * 600)
    renderer.exchange(long, None, _TIMES, {}, None)
    assert len(renderer._places) == 0
    assert "s.x" not in repr(kept._places._entries)


def test_a_call_with_data_headers_or_wrapping_is_encoded_anew() -> None:
    renderer, identity = _renderer(), who("x")
    variants: list[dict[str, Any]] = [
        {},
        {"data": {"a": "b"}},
        {"wrap_ttl": 60},
        {"headers": [(b"x-a", b"1")]},
        {},
    ]
    for fields in variants:
        call = _call(identity=identity, **fields)
        audited = {"x-a": False} if "headers" in fields else {}
        request = json.loads(renderer.exchange(call, None, _TIMES, audited, None).splitlines()[0])["request"]
        assert {"data", "wrap_ttl", "headers"} & set(request) == set(fields)


def test_external_keys_that_were_used_are_named_whatever_the_answer() -> None:
    used = {"ref": "hsm:ca", "token_serial": "2c8e", "key_label": "ca", "key_id": "v0001"}
    for reply, error in ((None, None), (Reply({"a": "b"}, same="x"), None), (None, Malformed("no"))):
        renderer = _renderer()
        for _ in range(2):
            record = _response(renderer, _call(external_keys=[used]), reply, error=error)
            assert record["response"]["external_keys"] == [used]
        assert "external_keys" not in _response(renderer, _call(), reply, error=error)["response"]
    unmounted = _response(_renderer(), _call(external_keys=[used], mount=NOWHERE), None)
    assert unmounted["response"] == {"external_keys": [used]}


@pytest.mark.parametrize(
    "value",
    [
        "service",
        "x" * 100,
        "",
        7,
        1.5,
        True,
        None,
        ["a", "a", "b"],
        ["a", 7],
        [],
        ("a", "b"),
        {"a": 7, "b": "c"},
    ],
)
def test_fields_that_hold_names_are_recorded_as_all_others_are(value: Json) -> None:
    hasher = Hasher(b"key", raw=False, hash_accessor=True)
    for _ in range(2):
        named = hasher.answer({"path": value}, {"path": value}, frozenset(), own=False)
        other = hasher.answer({"where": value}, {"where": value}, frozenset(), own=False)
        assert isinstance(named, dict) and isinstance(other, dict)
        assert named["path"] == other["where"]

# SPDX-License-Identifier: EUPL-1.2
"""Configs, keys and grants with a device in memory; what OpenBao says without one is in the conformance suite."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from tests.unit.engines.system.house import CORE, Answer, House, play
from vault.engines.system.external_keys.engine import ExternalKeyEngine, Options
from vault.engines.system.external_keys.store import ExternalKeyConfig, ExternalKeyEntry, merged
from vault.framework.call import NOWHERE, ROOT, Call
from vault.framework.errors import Malformed
from vault.framework.keys.external import ExternalKey, ExternalKeys, PrivateKey, SecretKey

T = TypeVar("T")
CONFIGS = "sys/external-keys/configs"
PIN = "hunter2"
HSM = {"plugin": "box", "serial": "42", "pin": PIN}


class BoxKey:
    """A key in the box."""

    def __init__(self, ref: str, label: str, private: PrivateKey) -> None:
        self.ref = ref
        self.oaep = ""
        self._label = label
        self._private = private

    def describe(self) -> Mapping[str, str]:
        return {"serial": "42", "label": self._label}

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        return work(self._private)

    async def use_any(self, call: Call | None, work: Callable[[PrivateKey | SecretKey], T]) -> T:
        return work(self._private)


class Box:
    """A device with one PIN and some named keys."""

    secrets = frozenset({"pin"})

    def __init__(self, *names: str) -> None:
        self._keys = {name: Ed25519PrivateKey.generate() for name in names}
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.answers.set()

    async def check_config(self, config: Options) -> None:
        self.asked.set()
        await self.answers.wait()
        if config.get("pin") != PIN:
            raise Malformed("wrong pin")

    async def check_key(self, config: Options, key: Options) -> None:
        await self.check_config(config)
        if key.get("label") not in self._keys:
            raise Malformed("no such key in the box")

    async def open(self, ref: str, config: Options, key: Options) -> ExternalKey:
        await self.check_key(config, key)
        label = str(key["label"])
        return BoxKey(ref, label, self._keys[label])


async def _house_with(box: Box) -> House:
    house = House()
    return await house.open(ExternalKeyEngine(house.barrier, {"box": box}))


async def _house() -> tuple[House, ExternalKeyEngine]:
    house = House()
    engine = ExternalKeyEngine(house.barrier, {"box": Box("ca", "other")})
    return await house.open(engine), engine


async def _while_asked(house: House, box: Box, request: tuple[Any, ...], other: tuple[Any, ...]) -> Answer:
    """Send `request`, and `other` while the device thinks about it; return the answer to the first."""
    box.asked.clear()
    box.answers.clear()
    asking = asyncio.ensure_future(house(*request))
    await box.asked.wait()
    assert (await asyncio.wait_for(house(*other), 60)).status == 204
    box.answers.set()
    return await asking


_SLOW: list[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]] = [
    ("POST", "c", HSM, {"plugin": "box", "serial": "42"}),
    ("PATCH", "c", {"serial": "43"}, {"plugin": "box", "serial": "43"}),
    ("POST", "c/keys/k", {"label": "other"}, {"label": "other"}),
    ("PATCH", "c/keys/k", {"label": "other"}, {"label": "other"}),
]


@pytest.mark.parametrize(("method", "path", "body", "stored"), _SLOW)
def test_a_device_that_takes_long_keeps_nobody_from_writing(
    method: str, path: str, body: Mapping[str, Any], stored: Mapping[str, Any]
) -> None:
    async def scenario() -> None:
        box = Box("ca", "other")
        house = await _house_with(box)
        await _granted(house)
        elsewhere = ("POST", f"{CONFIGS}/elsewhere", {**HSM, "verify": False})
        answer = await _while_asked(house, box, (method, f"{CONFIGS}/{path}", body), elsewhere)
        assert answer.status == 204
        assert (await house("GET", f"{CONFIGS}/{path}")).data.items() >= stored.items()

    play(scenario)


@pytest.mark.parametrize("path", ["c", "c/keys/k"])
def test_what_changed_while_the_device_was_asked_is_not_stored(path: str) -> None:
    async def scenario() -> None:
        box = Box("ca", "other")
        house = await _house_with(box)
        await _granted(house)
        meanwhile = ("PATCH", f"{CONFIGS}/c", {"more": "x", "verify": False})
        answer = await _while_asked(house, box, ("PATCH", f"{CONFIGS}/{path}", {"label": "other"}), meanwhile)
        assert answer.status == 500
        assert "changed while the device was asked" in answer.error
        assert (await house("GET", f"{CONFIGS}/c")).data["more"] == "x"
        assert (await house("GET", f"{CONFIGS}/c/keys/k")).data == {"label": "ca"}

    play(scenario)


async def _granted(house: House, *mounts: str) -> None:
    assert (await house("POST", f"{CONFIGS}/c", HSM)).status == 204
    assert (await house("POST", f"{CONFIGS}/c/keys/k", {"label": "ca"})).status == 204
    for mount in mounts:
        assert (await house("POST", f"{CONFIGS}/c/keys/k/grants/{mount}")).status == 204


async def _find(house: House, keys: ExternalKeys, mount: str, ref: str) -> str:
    """Return how the key describes itself, or the refusal."""
    try:
        key = await keys.find(ROOT, replace(NOWHERE, path=mount), ref)
    except Malformed as refused:
        return refused.message
    signature = await key.use(Call(), lambda private: private.sign(b"x"))  # type: ignore[call-arg]  # Ed25519's
    return f"{key.ref} {dict(key.describe())} {len(signature)}"


def test_a_config_shows_everything_but_its_secrets() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        given = {**HSM, "deep": {"a": [1, 1.5, None, True]}, "config": "mine", "big": 1 << 70, "none": None}
        assert (await house("POST", f"{CONFIGS}/c", given)).status == 204
        answer = await house("GET", f"{CONFIGS}/c")
        assert answer.data == {**given, "pin": "(redacted)"}
        assert PIN.encode() not in answer.text
        stored = await house.storage.reader().get(f"{CORE}external-keys/config/c")
        assert stored is not None
        assert PIN.encode() not in stored

    play(scenario)


def test_what_does_not_work_is_not_stored_unless_told_not_to_look() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        wrong = {**HSM, "pin": "other"}
        assert (await house("POST", f"{CONFIGS}/c", wrong)).error == "wrong pin"
        assert (await house("POST", f"{CONFIGS}/c", {**wrong, "verify": None})).error == "wrong pin"
        assert (await house("LIST", CONFIGS)).status == 404
        assert (await house("POST", f"{CONFIGS}/c", {**wrong, "verify": False})).status == 204
        assert (await house("GET", f"{CONFIGS}/c")).data == {
            "plugin": "box",
            "serial": "42",
            "pin": "(redacted)",
        }
        assert (await house("PATCH", f"{CONFIGS}/c", {"serial": "43"})).error == "wrong pin"
        assert (await house("PATCH", f"{CONFIGS}/c", {"pin": PIN})).status == 204
        assert (
            await house("POST", f"{CONFIGS}/c/keys/k", {"label": "none"})
        ).error == "no such key in the box"
        answer = await house("POST", f"{CONFIGS}/c/keys/k", {"label": "none", "verify": None})
        assert answer.error == "no such key in the box"
        assert (await house("LIST", f"{CONFIGS}/c/keys")).status == 404
        assert (await house("POST", f"{CONFIGS}/c/keys/k", {"label": "none", "verify": False})).status == 204
        assert (await house("PATCH", f"{CONFIGS}/c/keys/k", {"id": "1"})).error == "no such key in the box"
        assert (await house("PATCH", f"{CONFIGS}/c/keys/k", {"label": "ca", "id": None})).status == 204
        assert (await house("GET", f"{CONFIGS}/c/keys/k")).data == {"label": "ca"}

    play(scenario)


def test_a_patch_changes_what_it_names_and_keeps_the_plugin() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        await house("POST", f"{CONFIGS}/c", {**HSM, "a": {"b": 1, "c": 2}, "d": "e"})
        change = {"plugin": None, "a": {"b": None, "x": {"y": None}}, "d": None}
        assert (await house("PATCH", f"{CONFIGS}/c", change)).status == 204
        assert (await house("GET", f"{CONFIGS}/c")).data == {
            **HSM,
            "pin": "(redacted)",
            "a": {"c": 2, "x": {}},
        }
        await house("PATCH", f"{CONFIGS}/c", {"plugin": "gone", "verify": False})
        refusal = "failed to read metadata: unknown plugin"
        assert (await house("GET", f"{CONFIGS}/c")).error == refusal

    play(scenario)


def test_a_key_is_found_for_a_granted_mount_alone() -> None:
    async def scenario() -> None:
        house, keys = await _house()
        await _granted(house, "pki", "auth/cert")
        found = "c:k {'serial': '42', 'label': 'ca'} 64"
        assert await _find(house, keys, "pki/", "c:k") == found
        assert await _find(house, keys, "auth/cert/", "c:k") == found
        assert await _find(house, keys, "pki2/", "c:k") == 'mount "pki2/" is missing grant for key "c:k"'
        await house("DELETE", f"{CONFIGS}/c/keys/k/grants/pki")
        assert await _find(house, keys, "pki/", "c:k") == 'mount "pki/" is missing grant for key "c:k"'

    play(scenario)


def test_grants_stay_with_a_key_that_changes_and_go_with_one_that_goes() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        await _granted(house, "pki", "a", "pki")
        await house("POST", f"{CONFIGS}/c/keys/k", {"label": "other"})
        await house("PATCH", f"{CONFIGS}/c/keys/k", {"label": "ca"})
        await house("POST", f"{CONFIGS}/c", HSM)
        assert (await house("LIST", f"{CONFIGS}/c/keys/k/grants")).data == {"keys": ["a/", "pki/"]}
        await house("DELETE", f"{CONFIGS}/c/keys/k")
        await house("POST", f"{CONFIGS}/c/keys/k", {"label": "ca"})
        assert (await house("LIST", f"{CONFIGS}/c/keys/k/grants")).status == 404

    play(scenario)


def test_a_config_takes_its_own_keys_with_it_and_no_other_s() -> None:
    async def scenario() -> None:
        house, keys = await _house()
        await _granted(house, "pki")
        await house("POST", f"{CONFIGS}/c-2", HSM)
        await house("POST", f"{CONFIGS}/c-2/keys/k", {"label": "other"})
        await house("DELETE", f"{CONFIGS}/c")
        assert (await house("LIST", CONFIGS)).data == {"keys": ["c-2"]}
        assert (await house("LIST", f"{CONFIGS}/c-2/keys")).data == {"keys": ["k"]}
        assert await _find(house, keys, "pki/", "c:k") == 'key "c:k" does not exist'
        assert await house.storage.reader().scan(f"{CORE}external-keys/key/c/") == []

    play(scenario)


@pytest.mark.parametrize("ref", ["", "c", "c:", ":k", "c:k:k", "c/k", ":"])
def test_a_reference_has_two_names(ref: str) -> None:
    async def scenario() -> None:
        house, keys = await _house()
        await _granted(house, "pki")
        assert await _find(house, keys, "pki/", ref) == (
            'invalid key reference: must be "<config name>:<key name>"'
        )

    play(scenario)


def test_a_key_whose_plugin_is_gone_cannot_be_used() -> None:
    async def scenario() -> None:
        house, keys = await _house()
        await _granted(house, "pki")
        await house("PATCH", f"{CONFIGS}/c", {"plugin": "gone", "verify": False})
        assert await _find(house, keys, "pki/", "c:k") == "unknown plugin"
        assert (await house("POST", f"{CONFIGS}/c/keys/k", {})).error == "unknown plugin"

    play(scenario)


def test_nothing_that_holds_a_pin_shows_it() -> None:
    assert PIN not in repr(ExternalKeyConfig("box", {"pin": PIN}))
    assert PIN not in repr(ExternalKeyEntry({"pin": PIN}, ("pki/",)))


_REFUSED = [
    ("GET", "absent", None, 'config "absent" not found'),
    ("PATCH", "absent", {}, 'config "absent" not found'),
    ("POST", "absent", {}, 'missing required field "plugin"'),
    ("POST", "absent", {"plugin": "none"}, "unknown plugin"),
    ("GET", "c/keys/absent", None, 'key "absent" not found'),
    ("PATCH", "c/keys/absent", {}, 'key "absent" not found'),
    ("POST", "absent/keys/k", {}, 'config "absent" does not exist'),
    ("POST", "c/keys/absent/grants/pki", None, 'key "absent" not found'),
    ("GET", "a@b", None, "1 error occurred:\n\t* unsupported path\n\n"),
    ("DELETE", "c/keys/a@b", None, "1 error occurred:\n\t* unsupported path\n\n"),
]


@pytest.mark.parametrize(("method", "path", "body", "message"), _REFUSED)
def test_what_is_not_there_is_refused_in_the_field_s_words(
    method: str, path: str, body: object, message: str
) -> None:
    async def scenario() -> None:
        house, _ = await _house()
        await _granted(house)
        assert (await house(method, f"{CONFIGS}/{path}", body)).error == message

    play(scenario)


_PATCHES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "change", "result"), _PATCHES)
def test_merge_patches_as_in_appendix_a_of_rfc_7396(target: Any, change: Any, result: Any) -> None:
    assert merged(target, change) == result

# SPDX-License-Identifier: EUPL-1.2
"""Calls for tests, filled in by the names of what their parts hold."""

from typing import Any, Final

from msgspec.structs import replace

from vault.framework.call import ROOT, Call, MountFacts, Namespace
from vault.framework.request.record import CallRecord
from vault.values.times import Millis, Seconds

_PARTS: Final = ("head", "options", "proofs", "destination")
"""The parts that one stage fills in and no later one changes."""


def mount_facts(**given: Any) -> MountFacts:
    """Return a mount of secrets, but for what is given."""
    usual = {
        "uuid": "u",
        "path": "secret/",
        "kind": "kv",
        "accessor": "kv_1",
        "category": "secret",
        "options": {},
    }
    return MountFacts(**{**usual, "default_ttl": Seconds(0), "max_ttl": Seconds(0), **given})


_FAKE_MOUNT: Final = mount_facts(uuid="one", path="fake/", kind="fake", accessor="fake_1")


def fill_call(call: Call, **given: Any) -> Call:
    """Fill in a call and return it; what belongs to a part goes there."""
    for name in _PARTS:
        part = getattr(call, name)
        of_part = {field: given.pop(field) for field in part.__struct_fields__ if field in given}
        if of_part:
            setattr(call, name, replace(part, **of_part))
    for name, value in given.items():
        setattr(call.record if name in CallRecord.__struct_fields__ else call, name, value)
    return call


def call_for_account(now: Millis, *, namespace: Namespace = ROOT, path: str = "fake/creds/x") -> Call:
    """Return a call for an account with a lease, of an engine that is none."""
    return fill_call(Call(), namespace=namespace, path=path, now=now, mount=_FAKE_MOUNT)

# SPDX-License-Identifier: Apache-2.0
"""Secrets as a whole: removed, limited, described."""

from __future__ import annotations

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()


@TESTS.test("ESA-KV-009")
def removal_begins_anew(t: Trial) -> None:
    """Removing a secret removes every version, and its next version is 1."""
    path = t.secret()
    old = t.value()
    for value in (old, t.value(), t.value()):
        t.done(t.kv.put(path, value), "a secret is written")
    reply = t.kv.remove(path)
    t.is_so(reply, reply.ok, "a secret is removed")
    for version in (None, 1, 2, 3):
        gone = t.kv.get(path, version=version)
        t.is_so(gone, gone.absent, "no version of a removed secret is there")
    value = t.value()
    made = t.kv.put(path, value)
    t.equal(made.version, 1, "numbering starts at 1")
    t.equal(t.kv.get(path).data, value, "the new secret is read")
    gone = t.kv.get(path, version=2)
    t.is_so(gone, gone.absent, "old versions do not come back")


@TESTS.test("ESA-KV-009")
def removed_secret_is_not_listed(t: Trial) -> None:
    """A removed secret is in no list."""
    folder = t.folder()
    one, two = t.secret_below(folder, "one"), t.secret_below(folder, "two")
    for path in (one, two):
        t.done(t.kv.put(path, t.value()), "a secret is written")
    t.done(t.kv.remove(one), "a secret is removed")
    t.equal(t.kv.list(f"{folder}/").keys, ["two"], "a removed secret is not listed, and its neighbour is")


@TESTS.test("ESA-KV-012")
def newest_versions_stay(t: Trial) -> None:
    """With at most three versions the newest three are readable and no other."""
    path = t.secret()
    reply = t.kv.describe(path, max_versions=3)
    t.is_so(reply, reply.ok, "a number of versions is set")
    values = [t.value() for _ in range(6)]
    for value in values:
        t.done(t.kv.put(path, value), "a secret is written")
    for number, value in enumerate(values, 1):
        found = t.kv.get(path, version=number)
        if number <= 3:
            t.is_so(found, found.absent, "a version beyond the number is not there")
        else:
            t.equal(found.data, value, "the newest versions are there")


@TESTS.test("ESA-KV-015")
def description_comes_back(t: Trial) -> None:
    """Custom metadata is returned as written, and the value is read without it."""
    path = t.secret()
    described = {"owner": "team żółć", "Case": "kept", "two words": "a=b, c"}
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    t.equal(t.kv.get(path).data, value, "a secret without custom metadata is read")
    reply = t.kv.describe(path, custom_metadata=described)
    t.is_so(reply, reply.ok, "custom metadata is written")
    found = t.kv.metadata(path).answer.member("data", "custom_metadata")
    t.equal(found, described, "custom metadata comes back as written")
    t.equal(t.kv.get(path).data, value, "the value stays")

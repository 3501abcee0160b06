# SPDX-License-Identifier: Apache-2.0
"""Paths and lists of secrets."""

from __future__ import annotations

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()


@TESTS.test("ESA-KV-010")
def list_shows_direct_children(t: Trial) -> None:
    """A list has the direct children, folders with a slash, nothing from deeper and no value."""
    folder = t.folder()
    made = {}
    for child in ("a", "b/c", "b/d/e", "f", "f/g"):
        path = t.secret_below(folder, child)
        made[child] = t.value()
        t.done(t.kv.put(path, made[child]), "a secret is written")
    reply = t.kv.list(f"{folder}/")
    t.is_so(reply, reply.ok, "a folder is listed")
    t.equal(
        sorted(reply.keys),
        ["a", "b/", "f", "f/"],
        "a list has the direct children only, folders with a slash",
    )
    t.equal(t.kv.list(f"{folder}/b/").keys, ["c", "d/"], "a folder in a folder is listed alike")
    t.must(
        not any(str(value["text"]).encode() in reply.answer.body for value in made.values()),
        "a list has no value",
    )


@TESTS.test("ESA-KV-010")
def empty_folder_lists_nothing(t: Trial) -> None:
    """A folder with nothing in it has no keys, and a secret that was removed from view is not made by listing."""
    path = t.secret()
    reply = t.kv.list(f"{path}/")
    t.is_so(reply, reply.absent or (reply.ok and not reply.keys), "an empty folder has no keys")


@TESTS.test("ESA-KV-016")
def paths_are_code_points(t: Trial) -> None:
    """Paths that a person might take for the same are secrets of their own."""
    folder = t.folder()
    names = [
        "Name",
        "name",
        "NAME",
        "caf\u00e9",
        "cafe\u0301",
        "ﬁ",
        "fi",
        "K",
        "\u212a",
        "ß",
        "ss",
        "a b",
        "a+b",
        "a%20b",
    ]
    values = [t.value() for _ in names]
    for name, value in zip(names, values, strict=True):
        t.done(t.kv.put(t.secret_below(folder, name), value), "a secret is written")
    for name, value in zip(names, values, strict=True):
        found = t.kv.get(f"{folder}/{name}")
        t.equal((found.version, found.data), (1, value), "each path has a secret of its own")
    t.equal(set(t.kv.list(f"{folder}/").keys), set(names), "a list has the paths as they were written")


@TESTS.test("ESA-KV-011", feature="paging")
def pages_have_each_key_once(t: Trial) -> None:
    """By pages every key that stays is seen exactly once, while others come and go."""
    folder = t.folder()
    names = [f"key{number:02}" for number in range(0, 24, 2)]
    for name in names:
        t.done(t.kv.put(t.secret_below(folder, name), t.value()), "a secret is written")
    seen: list[str] = []
    after, turns = "", 0
    while turns < 40:
        page = t.kv.list(f"{folder}/", after=after, limit=3)
        t.served(page.ok or page.absent, "a page is given")
        if not page.keys:
            break
        t.served(len(page.keys) <= 3, "a page has as many keys as were asked for")
        seen += page.keys
        after = page.keys[-1]
        beside = t.secret_below(folder, f"key{turns * 2 + 1:02}")
        t.done(t.kv.put(beside, t.value()), "a secret is written beside")
        turns += 1
    stayed = [name for name in seen if name in names]
    t.equal(sorted(stayed), names, "each key that stays is seen exactly once")
    t.equal(len(seen), len(set(seen)), "no key is seen twice")

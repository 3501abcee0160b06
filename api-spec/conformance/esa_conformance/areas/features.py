# SPDX-License-Identifier: Apache-2.0
"""What a server may have beyond the core of secrets: each is judged where it is there."""

from __future__ import annotations

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()


@TESTS.test("ESA-KV-013", feature="patch")
def patch_merges(t: Trial) -> None:
    """A merge patch changes what it names, removes what it sets to null and leaves the rest."""
    path = t.secret()
    kept = t.text()
    t.done(
        t.kv.put(path, {"kept": kept, "changed": 1, "gone": 2, "in": {"a": 1, "b": 2}}), "a secret is written"
    )
    reply = t.kv.patch(path, {"changed": "now", "gone": None, "in": {"b": None, "c": 3}, "new": [1]})
    t.served(not reply.not_served, "a patch is taken")
    t.is_so(reply, reply.ok, "a merge patch is accepted")
    wanted = {"kept": kept, "changed": "now", "in": {"a": 1, "c": 3}, "new": [1]}
    newest = t.kv.get(path)
    t.equal(
        (newest.version, newest.data), (2, wanted), "a patch merges as RFC 7396 has it, into a new version"
    )


@TESTS.test("ESA-KV-013", feature="patch")
def patch_of_nothing_is_refused(t: Trial) -> None:
    """A patch of what is not there gives 404 and makes nothing."""
    path = t.secret()
    reply = t.kv.patch(path, {"a": 1})
    t.served(reply.status not in {405, 501}, "a patch is taken")
    t.is_so(reply, reply.absent, "a patch of what is not there gives 404")
    t.must(t.kv.get(path).absent, "a refused patch makes nothing")


@TESTS.test("ESA-KV-013", feature="patch")
def patches_at_once_all_count(t: Trial) -> None:
    """Of patches at once no accepted one is lost."""
    path = t.secret()
    t.done(t.kv.put(path, {"first": t.text()}), "a secret is written")
    t.served(not t.kv.patch(path, {"begun": 1}).not_served, "a patch is taken")
    replies = t.together(6, lambda i: t.kv.patch(path, {f"from{i}": i}))
    found = t.kv.get(path).data
    t.need(isinstance(found, dict), "a secret is read")
    missing = [i for i, reply in enumerate(replies) if reply.ok and f"from{i}" not in found]
    t.must(any(reply.ok for reply in replies), "at least one patch is accepted")
    t.equal(missing, [], "no accepted patch is lost")


@TESTS.test("ESA-KV-019", feature="subkeys")
def structure_has_no_value(t: Trial) -> None:
    """The structure of a secret has its names and none of its values."""
    path = t.secret()
    secret = t.text()
    t.done(
        t.kv.put(path, {"outer": {"inner": secret}, "plain": secret, "number": 471147}), "a secret is written"
    )
    reply = t.kv.subkeys(path)
    t.served(not reply.not_served, "the structure is given")
    t.is_so(reply, reply.ok, "the structure is read")
    t.equal(
        reply.answer.member("data", "subkeys"), {"outer": {"inner": None}, "plain": None, "number": None},
        "the structure has all names",
    )  # fmt: skip
    t.must(secret.encode() not in reply.answer.body, "the structure has no text")
    t.must(b"471147" not in reply.answer.body, "the structure has no number")


@TESTS.test("ESA-KV-020", feature="etag")
def entity_tags_guard_writes(t: Trial) -> None:
    """A read has a strong ETag; If-Match with another is refused with 412 and changes nothing."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    tag = t.kv.get(path).answer.headers.get("etag", "")
    t.served(tag != "", "a read has an ETag")
    t.must(tag.startswith('"'), "an ETag is strong")
    reply = t.kv.put(path, t.value(), headers={"If-Match": '"another"'})
    t.equal(reply.status, 412, "If-Match with another ETag gives 412")
    t.equal(t.kv.get(path).data, value, "a refused write changes nothing")
    reply = t.kv.put(path, value, headers={"If-Match": tag})
    t.is_so(reply, reply.ok, "If-Match with the ETag is accepted")
    t.must(
        t.kv.get(path).answer.headers.get("etag") != tag,
        "a new version has another ETag, also with an equal value",
    )


@TESTS.test("ESA-KV-020", feature="etag")
def stale_tags_remove_nothing(t: Trial) -> None:
    """Deleting, destroying and removing with another ETag is refused with 412, and all is there as before."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    stale = {"If-Match": t.kv.get(path).answer.headers.get("etag", "")}
    t.served(stale["If-Match"] != "", "a read has an ETag")
    value = t.value()
    t.done(t.kv.put(path, value), "a second version is written")
    replies = [
        t.kv.delete(path, headers=stale),
        t.kv.delete(path, [2], headers=stale),
        t.kv.destroy(path, [2], headers=stale),
        t.kv.remove(path, headers=stale),
    ]
    t.equal((t.kv.get(path).version, t.kv.get(path).data), (2, value), "a refused removal changes nothing")
    t.every(
        [reply for reply in replies if not reply.not_served],
        lambda reply: reply.status == 412,
        "a removal with another ETag gives 412",
    )
    newest = {"If-Match": t.kv.get(path).answer.headers.get("etag", "")}
    reply = t.kv.remove(path, headers=newest)
    t.is_so(reply, reply.ok or reply.not_served, "a removal with the ETag is accepted")


@TESTS.test("ESA-KV-020", feature="etag")
def entity_tags_say_nothing_of_values(t: Trial) -> None:
    """Two secrets with equal histories have values that no ETag tells apart or reveals as equal."""
    one, two, other = t.secret(), t.secret(), t.secret()
    value = t.value()
    for path, what in ((one, value), (two, value), (other, t.value())):
        t.done(t.kv.put(path, what), "a secret is written")
    tags = [t.kv.get(path).answer.headers.get("etag", "") for path in (one, two, other)]
    t.served(all(tags), "a read has an ETag")
    t.must((tags[0] == tags[1]) == (tags[1] == tags[2]), "equal values are not told by their ETags")


@TESTS.test("ESA-KV-020", feature="etag")
def creation_only_and_not_modified(t: Trial) -> None:
    """If-None-Match with * creates only; with the ETag a read gives 304 and no value."""
    path = t.secret()
    first = t.value()
    t.done(t.kv.put(path, first), "a secret is written")
    tag = t.kv.get(path).answer.headers.get("etag", "")
    t.served(tag != "", "a read has an ETag")
    reply = t.kv.put(path, t.value(), headers={"If-None-Match": "*"})
    t.equal(reply.status, 412, "If-None-Match: * of what is there gives 412")
    t.equal(t.kv.get(path).data, first, "a refused write changes nothing")
    reply = t.kv.get(path, headers={"If-None-Match": tag})
    t.equal((reply.status, reply.answer.body), (304, b""), "an unchanged secret gives 304 and no body")
    reply = t.kv.put(t.secret(), t.value(), headers={"If-None-Match": "*"})
    t.is_so(reply, reply.ok, "If-None-Match: * creates what is not there")

# SPDX-License-Identifier: Apache-2.0
"""Namespaces know nothing of each other."""

from __future__ import annotations

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()


@TESTS.test("ESA-NSP-002", feature="namespaces", needs=("admin",))
def credential_counts_in_its_namespace(t: Trial) -> None:
    """A credential has no right in another namespace, and its accessor is not known there."""
    one, two = t.new_namespace(), t.new_namespace()
    admin = t.admin.within(one)
    t.done(
        admin.write_policy("all", {"*": ["create", "read", "update", "delete", "list"]}),
        "a policy is written",
    )
    t.done(t.admin.within(two).write_policy("all", {"*": ["read", "list"]}), "a policy is written")
    given = t.done(admin.create_token(policies=["all"], ttl="10m"), "a credential is made")
    caller = admin.using(given.token)
    found = caller.read_policy("all")
    t.is_so(found, found.ok, "a credential is accepted in its namespace")
    found = caller.within(two).read_policy("all")
    t.is_so(found, found.unknown_caller, "a credential has no right in another namespace")
    known = admin.look_up_accessor(given.accessor)
    t.is_so(known, known.ok, "an accessor is known in its namespace")
    unknown = t.admin.within(two).look_up_accessor(given.accessor)
    t.is_so(unknown, not unknown.ok, "an accessor is not known in another namespace")
    t.must(given.token.encode() not in unknown.answer.body, "nothing is told of it")
    t.admin.within(two).revoke_accessor(given.accessor)
    found = caller.read_policy("all")
    t.is_so(found, found.ok, "a credential is not revoked from another namespace")


@TESTS.test("ESA-NSP-002", feature="namespaces", needs=("admin",))
def secrets_stay_in_their_namespace(t: Trial) -> None:
    """Who may everything in one namespace reads no secret above it or beside it, and does not learn of others."""
    one, two, here = t.new_namespace(), t.new_namespace(), t.admin.namespace
    mount = t.mount().where.mount
    values = {}
    for namespace in (here, one, two):
        place = t.admin.within(namespace).at(mount)
        if namespace != here:
            t.mount_within(namespace, mount)
        values[namespace] = t.value()
        t.done(place.put("secret", values[namespace]), "a secret is written")
    rights = {"*": ["create", "read", "update", "delete", "list"]}
    t.done(t.admin.within(one).write_policy("all", rights), "a policy is written")
    given = t.done(t.admin.within(one).create_token(policies=["all"], ttl="10m"), "a credential is made")
    caller = t.admin.within(one).using(given.token).at(mount)
    t.equal(caller.get("secret").data, values[one], "a secret is read in its namespace")
    for other in (here, two):
        reply = caller.within(other).get("secret")
        t.is_so(reply, reply.unknown_caller, "a credential reads nothing in another namespace")
        t.must(str(values[other]["text"]).encode() not in reply.answer.body, "nothing is given of it")
    listed = caller.send("LIST", "sys/namespaces")
    t.must(two.rpartition("/")[2].encode() not in listed.answer.body, "it does not learn of others")


@TESTS.test("ESA-NSP-003", feature="namespaces", needs=("admin",), provisional=True)
def credential_is_unknown_elsewhere(t: Trial) -> None:
    """A credential of one namespace should be refused in another as one that never was when it asks about itself."""
    one, two = t.new_namespace(), t.new_namespace()
    admin = t.admin.within(one)
    given = t.done(admin.create_token(policies=["default"], ttl="10m"), "a credential is made")
    caller = admin.using(given.token)
    found = caller.look_up_self()
    t.is_so(found, found.ok, "a credential is accepted in its namespace")
    elsewhere = caller.within(two).look_up_self()
    none = caller.within(two).using("s.AAAAAAAAAAAAAAAAAAAAAAAA").look_up_self()
    t.should(
        (elsewhere.status, elsewhere.without_request) == (none.status, none.without_request),
        "a credential of another namespace is not as one that never was when it asks about itself",
    )

# SPDX-License-Identifier: Apache-2.0
"""Sealing: every other client notices it, so it is asked only where the manifest allows that."""

from __future__ import annotations

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()


@TESTS.test("ESA-GEN-010", feature="seal", cls="disruptive", needs=("kv", "admin", "seal_key"))
def sealed_server_gives_nothing(t: Trial) -> None:
    """While sealed, requests give 503 and no secret; after unsealing all that was acknowledged is there."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    with t.sealed():
        for reply in (t.kv.get(path), t.kv.put(path, t.value()), t.kv.list(""), t.nobody.get(path)):
            t.equal(reply.status, 503, "while sealed, a request gives 503")
            t.must(str(value["text"]).encode() not in reply.answer.body, "while sealed, no secret is given")
        t.equal(t.nobody.within("").health().answer.member("sealed"), True, "health tells that it is sealed")
    newest = t.kv.get(path)
    t.equal((newest.version, newest.data), (1, value), "after unsealing all that was acknowledged is there")

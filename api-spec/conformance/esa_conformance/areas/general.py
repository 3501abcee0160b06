# SPDX-License-Identifier: Apache-2.0
"""What holds of every answer: health, headers, media types, and what is ignored."""

from __future__ import annotations

from datetime import UTC, datetime

from esa_conformance.binding.replies import Reply
from esa_conformance.requirements import feature_profiles
from esa_conformance.run.declare import Tests
from esa_conformance.run.interlock import DISCOVERY
from esa_conformance.run.trial import Trial

TESTS = Tests()
_HEALTH = {200, 429, 472, 473, 501, 503}


@TESTS.test("ESA-GEN-002", cls="read-only", needs=())
def health_tells_state(t: Trial) -> None:
    """Health is told without credential: whether initialised, whether sealed."""
    reply = t.nobody.within("").health()
    t.is_so(reply, reply.status in _HEALTH, "a health request is answered")
    for name in ("initialized", "sealed"):
        t.must(isinstance(reply.answer.member(name), bool), f"health tells {name}, yes or no")


@TESTS.test("ESA-GEN-002", cls="read-only", needs=())
def seal_is_told_as_in_health(t: Trial) -> None:
    """The state of the seal is told without credential, and says what health says."""
    nobody = t.nobody.within("")
    state, health = nobody.send("GET", "sys/seal-status"), nobody.health()
    t.is_so(state, state.ok, "the state of the seal is told")
    for name in ("initialized", "sealed"):
        t.equal(state.answer.member(name), health.answer.member(name), f"both tell {name} alike")


@TESTS.test("ESA-GEN-002", needs=("kv",))
def health_tells_no_tenant(t: Trial) -> None:
    """Health has no name of a secret, nor of where it lies."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    body = t.nobody.within("").health().answer.body
    told = [what for what in (path, str(value["text"]), t.state.namespace) if what and what.encode() in body]
    t.equal(told, [], "health tells no secret, path or tenant")


@TESTS.test("ESA-GEN-003")
def answers_are_not_stored(t: Trial) -> None:
    """Answers that can hold a secret say that nobody may store them, errors too."""
    path = t.secret()
    replies = {
        "a write": t.done(t.kv.put(path, t.value()), "a secret is written"),
        "a read": t.kv.get(path),
        "a read of nothing": t.kv.get(f"{path}-none"),
        "metadata": t.kv.metadata(path),
        "a refusal": t.nobody.get(path),
    }
    lacking = [name for name, reply in replies.items() if not _not_stored(reply)]
    t.equal(lacking, [], f"Cache-Control: no-store is on each: {', '.join(lacking)} lacks it")


@TESTS.test("ESA-GEN-003", needs=("admin",))
def credentials_are_not_stored(t: Trial) -> None:
    """Answers that give or describe a credential say that nobody may store them."""
    caller = t.caller({})
    replies = [
        caller.reply,
        caller.client.look_up_self(),
        caller.client.renew_self("5m"),
        caller.client.revoke_self(),
    ]
    t.must(
        all(_not_stored(reply) for reply in replies),
        "Cache-Control: no-store is on each answer about a credential",
    )


def _not_stored(reply: Reply) -> bool:
    return "no-store" in reply.answer.headers.get("cache-control", "")


@TESTS.test("ESA-GEN-004")
def json_is_called_json(t: Trial) -> None:
    """An answer with a JSON body has a JSON media type, whatever its status."""
    path = t.secret()
    replies = [
        t.done(t.kv.put(path, t.value()), "a secret is written"),
        t.kv.get(path), t.kv.get(f"{path}-none"), t.nobody.get(path), t.kv.send("POST", t.kv.data_path(path), b"{"),
        t.nobody.within("").health(),
    ]  # fmt: skip
    wrong = sorted(
        {r.status for r in replies if r.answer.body and r.answer.json is not None and not _is_json(r)}
    )
    t.equal(wrong, [], f"a JSON body has a JSON media type (status {wrong})")


def _is_json(reply: Reply) -> bool:
    kind = reply.answer.media_type
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


@TESTS.test("ESA-GEN-005", feature="discovery", cls="read-only", needs=())
def discovery_is_told(t: Trial) -> None:
    """The discovery document is served without credential, and tells specification, bindings and known features."""
    answer = t.nobody.within("").send_literal("GET", DISCOVERY).answer
    t.served(answer.ok, "a discovery document is served")
    found = answer.json
    t.must(isinstance(found, dict), "the discovery document is a JSON object")
    for name, kind in (
        ("spec", str),
        ("implementation", dict),
        ("conformsTo", list),
        ("bindings", list),
        ("features", list),
    ):
        t.must(isinstance(found.get(name), kind), f"the discovery document has {name}")
    unknown = sorted(
        str(name) for name in found["features"] if "." not in str(name) and name not in feature_profiles()
    )
    t.equal(unknown, [], "features without a dot are registered")
    t.must(t.state.namespace == "" or t.state.namespace.encode() not in answer.body, "it tells no tenant")


@TESTS.test("ESA-GEN-006")
def unknown_members_change_nothing(t: Trial) -> None:
    """Members and parameters that nobody knows change nothing of what is done with the known ones."""
    path = t.secret()
    value = t.value()
    reply = t.kv.put(path, value, check=0, more={"x-unknown": {"data": {"text": "other"}}})
    t.is_so(reply, reply.ok, "a write with an unknown member is done")
    found = t.kv.send("GET", t.kv.data_path(path), query={"x-unknown": "1", "version": 1})
    t.equal((found.version, found.data), (1, value), "a read with an unknown parameter is the same read")
    reply = t.kv.put(path, t.value(), check=0, more={"x-unknown": True})
    t.is_so(reply, reply.refused_stale, "a check beside an unknown member still counts")
    t.equal(t.kv.get(path).data, value, "a refused write changes nothing")


@TESTS.test("ESA-GEN-008")
def trace_headers_change_nothing(t: Trial) -> None:
    """A traceparent header, well-formed or not, changes nothing."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    for parent in (
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0-0-0",
        "ff",
        "\u00e9",
        "x" * 600,
    ):
        found = t.kv.get(path, headers={"traceparent": parent})
        t.equal((found.status, found.data), (200, value), "a request with traceparent is answered as without")


@TESTS.test("ESA-GEN-020", cls="read-only", needs=())
def security_contact_is_served(t: Trial) -> None:
    """Security.txt should be served, and is not past its end."""
    answer = t.nobody.within("").send_literal("GET", "/.well-known/security.txt").answer
    t.should(answer.ok, "/.well-known/security.txt is not served")
    if answer.ok:
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (
                line.partition(":") for line in answer.body.decode("utf-8", "replace").splitlines()
            )
        }
        t.must("contact" in fields and "expires" in fields, "security.txt has Contact and Expires")
        try:
            ends = datetime.fromisoformat(fields["expires"].upper())
        except ValueError:
            t.must(False, "Expires is a date as RFC 3339 has it")
            raise
        t.must(ends > datetime.now(UTC), "security.txt is not past its end")

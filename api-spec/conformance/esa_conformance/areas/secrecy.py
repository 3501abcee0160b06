# SPDX-License-Identifier: Apache-2.0
"""Errors should not repeat what was sent: a value may be a secret that stands in the wrong place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from esa_conformance.binding.replies import Reply
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()


@TESTS.test("ESA-ERR-005")
def errors_of_secrets_repeat_nothing(t: Trial) -> None:
    """Errors about secrets should repeat no value of the request."""
    for name in _repeated(t, _of_secrets(t)):
        t.should(False, f"an error repeats a value of the request: {name}")


@TESTS.test("ESA-ERR-005", needs=("kv", "admin"))
def errors_of_administration_repeat_nothing(t: Trial) -> None:
    """Errors about policies, credentials and mounts should repeat no value of the request."""
    for name in _repeated(t, _of_administration(t)):
        t.should(False, f"an error repeats a value of the request: {name}")


@TESTS.test("ESA-ERR-005", feature="redacted-errors", needs=("kv", "admin"))
def errors_are_redacted(t: Trial) -> None:
    """No error repeats a value of the request."""
    repeated = _repeated(t, {**_of_secrets(t), **_of_administration(t)})
    t.served(not repeated, f"no error repeats a value of the request, as one does for {', '.join(repeated)}")


def _should_repeat_nothing(t: Trial, repeated: list[str]) -> None:
    t.should(not repeated, f"an error repeats a value of the request: {', '.join(repeated)}")


Asked = Mapping[str, Callable[[str], Reply]]


def _repeated(t: Trial, asked: Asked) -> list[str]:
    found = []
    for name, ask in asked.items():
        secret = t.text()
        reply = ask(secret)
        if not reply.ok and secret.encode() in reply.answer.body:
            found.append(name)
    return found


def _of_secrets(t: Trial) -> Asked:
    path = t.secret()
    kv = t.kv
    data = kv.data_path(path)
    return {
        "a check that is no number": lambda s: kv.send("POST", data, {"data": {"a": s}, "options": {"cas": s}}),
        "options that are a text": lambda s: kv.send("POST", data, {"data": {"a": s}, "options": s}),
        "a secret that is a text": lambda s: kv.send("POST", data, {"data": s}),
        "a broken body": lambda s: kv.send("POST", data, f'{{"data": {{"a": "{s}"}}'.encode()),
        "a stale check": lambda s: kv.put(path, {"a": s}, check=9),
        "versions that are texts": lambda s: kv.send("POST", f"{kv.where.mount}/destroy/{kv.where.prefix}{path}", {"versions": [s]}),
    }  # fmt: skip


def _of_administration(t: Trial) -> Asked:
    admin = t.admin
    policy, _ = t.state.name("policy")
    mount, _ = t.state.name("mount")
    auth, _ = t.state.name("auth")
    return {
        "a capability of a policy": lambda s: admin.write_policy(policy, {"none/*": [s]}),
        "a member of a policy": lambda s: admin.write_policy_text(policy, f'path "none" {{ {s.replace("-", "_")} = 1 }}'),
        "a policy that is no policy": lambda s: admin.write_policy_text(policy, f'path "{s}" {{'),
        "a time of a credential": lambda s: t.have_token(admin, ttl=s),
        "a kind of credential": lambda s: t.have_token(admin, type=s),
        "a kind of mount": lambda s: admin.send("POST", f"sys/mounts/{mount}", {"type": s}),
        "a kind of log-in": lambda s: admin.send("POST", f"sys/auth/{auth}", {"type": s}),
        "an accessor": admin.look_up_accessor,
        "a wrapping token": admin.look_up_wrapped,
    }  # fmt: skip

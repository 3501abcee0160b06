# SPDX-License-Identifier: Apache-2.0
"""Policies: what they grant, what they do not, and from when."""

from __future__ import annotations

from typing import Final

from esa_conformance.binding.client import Client
from esa_conformance.binding.replies import Reply
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")
_ALL = ("create", "read", "update", "patch", "delete", "list")


def _uses(caller: Client, path: str) -> dict[str, Reply]:
    """Every use of a secret, by its name; none changes what a later one finds."""
    return {
        "reading": caller.get(path),
        "metadata": caller.metadata(path),
        "listing": caller.list(path.rpartition("/")[0] + "/"),
        "writing": caller.put(path, {"by": "other"}, check=77),
        "deletion": caller.delete(path, [77]),
        "destruction": caller.destroy(path, [77]),
    }


def _written(t: Trial, folder: str, *names: str) -> list[str]:
    paths = [t.secret_below(folder, name) for name in names]
    for path in paths:
        t.done(t.kv.put(path, t.value()), "a secret is written")
    return paths


@TESTS.test("ESA-POL-001", needs=_NEEDS)
def nothing_is_granted_by_itself(t: Trial) -> None:
    """Who has no policy for a path may do nothing with it."""
    (path,) = _written(t, t.folder(), "a")
    caller = t.caller({"none/*": _ALL}).client
    for name, reply in _uses(caller, path).items():
        t.is_so(reply, reply.denied, f"{name} without a grant is refused")
    for path in ("sys/policies/acl", "sys/mounts", "auth/token/accessors"):
        reply = caller.send("LIST" if path != "sys/mounts" else "GET", path)
        t.is_so(reply, reply.denied, "administration without a grant is refused")


@TESTS.test("ESA-POL-002", needs=_NEEDS)
def reading_grants_reading_alone(t: Trial) -> None:
    """A grant to read gives reading and nothing else."""
    folder = t.folder()
    (path,) = _written(t, folder, "a")
    caller = t.caller({t.kv.data_path(path): ["read"]}).client
    for name, reply in _uses(caller, path).items():
        if name == "reading":
            t.is_so(reply, reply.ok, "reading is granted")
        else:
            t.is_so(reply, reply.denied, f"a grant to read does not give {name}")
    reply = caller.delete(path)
    t.is_so(reply, reply.denied, "a grant to read does not give deletion of the newest version")


@TESTS.test("ESA-POL-003", needs=_NEEDS)
def specific_refusal_wins(t: Trial) -> None:
    """A refusal of one path wins over a grant of all, for each verb."""
    folder = t.folder()
    kept, free = _written(t, folder, "kept", "free")
    place = t.kv.where.mount
    caller = t.caller({
        f"{place}/*": _ALL,
        **{f"{place}/{kind}/{t.kv.where.prefix}{kept}": ["deny"] for kind in ("data", "metadata", "delete", "destroy", "undelete")},
    }).client  # fmt: skip
    for name, reply in _uses(caller, kept).items():
        if name != "listing":
            t.is_so(reply, reply.denied, f"{name} is refused although all is granted")
    t.every([caller.get(free)], lambda r: r.ok, "what is not refused stays granted")


@TESTS.test("ESA-POL-003", needs=_NEEDS)
def refused_folder_is_not_listed(t: Trial) -> None:
    """A refusal to list a folder counts, however it is asked for."""
    folder = t.folder()
    _written(t, folder, "kept/a", "free/a")
    base = t.kv.metadata_path(folder)
    for refused in (f"{base}/kept/", f"{base}/kept/*"):
        caller = t.caller({f"{t.kv.where.mount}/*": _ALL, refused: ["deny"]}).client
        for asked in (f"{folder}/kept/", f"{folder}/kept"):
            reply = caller.list(asked)
            t.is_so(reply, reply.denied, "a refused folder is not listed")
        t.every([caller.list(f"{folder}/free/")], lambda r: r.ok, "what is not refused stays granted")


@TESTS.test("ESA-POL-004", needs=_NEEDS)
def siblings_are_not_reached(t: Trial) -> None:
    """A grant on a folder does not reach one whose name begins alike."""
    folder = t.folder()
    inside, beside, deep = _written(t, folder, "app/a", "app2", "app2/a")
    base = t.kv.data_path(folder)
    caller = t.caller({f"{base}/app/*": _ALL}).client
    reply = caller.get(inside)
    t.is_so(reply, reply.ok, "what lies in the folder is granted")
    for path in (beside, deep):
        for name, reply in _uses(caller, path).items():
            t.is_so(reply, reply.denied, f"{name} beside the folder is refused")


@TESTS.test("ESA-POL-005", needs=_NEEDS)
def changed_policy_counts_at_once(t: Trial) -> None:
    """A changed policy counts from the next request, for credentials that exist."""
    one, two = _written(t, t.folder(), "one", "two")
    name = t.policy({t.kv.data_path(one): ["read"]})
    caller = t.caller(policies=[name]).client
    for first, second in ((one, two), (two, one)) * 3:
        t.done(t.admin.write_policy(name, {t.kv.data_path(first): ["read"]}), "a policy is changed")
        granted, refused = caller.get(first), caller.get(second)
        t.is_so(granted, granted.ok, "what the changed policy grants is granted")
        t.is_so(refused, refused.denied, "what the changed policy does not grant is refused")


@TESTS.test("ESA-POL-006", needs=_NEEDS)
def told_rights_are_enforced(t: Trial) -> None:
    """The rights that the server tells are those that it enforces."""
    folder = t.folder()
    paths = _written(t, folder, "read", "write", "none")
    data = [t.kv.data_path(path) for path in paths]
    caller = t.caller(
        {data[0]: ["read"], data[1]: ["create", "update", "delete"], "sys/capabilities-self": ["update"]}
    ).client
    told = caller.capabilities(data)
    t.is_so(told, told.ok, "rights are told")
    for path, place in zip(paths, data, strict=True):
        rights = set(told.answer.member("data", place) or told.answer.member(place) or ())
        for right, reply in (
            ("read", caller.get(path)),
            ("update", caller.put(path, {}, check=77)),
            ("delete", caller.delete(path)),
        ):
            t.equal(right in rights, not reply.denied, f"{right} is told as it is enforced")


@TESTS.test("ESA-POL-007", needs=_NEEDS)
def removed_policy_grants_nothing(t: Trial) -> None:
    """A removed policy grants nothing from the next request."""
    (path,) = _written(t, t.folder(), "a")
    name = t.policy({t.kv.data_path(path): ["read"]})
    caller = t.caller(policies=[name]).client
    reply = caller.get(path)
    t.is_so(reply, reply.ok, "what the policy grants is granted")
    t.done(t.admin.remove_policy(name), "a policy is removed")
    reply = caller.get(path)
    t.is_so(reply, reply.denied, "a removed policy grants nothing")


@TESTS.test("ESA-POL-008", needs=_NEEDS)
def unknown_policy_is_refused(t: Trial) -> None:
    """A policy that is not fully understood is refused, and none is made of it."""
    for text in (
        '{"path": {"none/*": {"capabilities": ["read", "fly"]}}}',
        '{"path": {"none/*": {"capabilities": ["read"], "only_on_sunday": true}}}',
        '{"way": {"none/*": {"capabilities": ["read"]}}}',
        'path "none/*" { capabilities = ["read"]',
    ):
        name, _ = t.state.name("policy")
        reply = t.admin.write_policy_text(name, text)
        t.is_so(reply, reply.malformed, "a policy that is not understood is refused")
        t.must(t.admin.read_policy(name).absent, "nothing is made of a refused policy")

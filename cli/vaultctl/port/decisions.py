# SPDX-License-Identifier: EUPL-1.2
"""Whether policies decide alike on both sides: each is asked by `sys/capabilities` about the same generated paths."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from vaultctl.errors import CommandError, DepthError
from vaultctl.port.ground.server import Server
from vaultctl.port.settings import namespaces, policies
from vaultctl.text.json import as_list, as_map, parse

VERBS = ("create", "read", "update", "patch", "delete", "list", "scan", "sudo", "deny")
_RULE = re.compile(r'(?:^|[\s;}])"?path"?[ \t]*"([^"\n]+)"\s*\{')
_WORDS = ("a", "b", "app", "db", "team", "x1", "prod", "data", "metadata", "config")
_AT_ONCE = 50
_TTL = "15m"


class Choices:
    """Choices that are the same for the same seed, on every machine."""

    def __init__(self, seed: int) -> None:
        self._seed, self._count = seed, 0

    def below(self, number: int) -> int:
        """A number from 0 to one less."""
        self._count += 1
        drawn = hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()
        return int.from_bytes(drawn[:8]) % number

    def one(self, of: Sequence[str]) -> str:
        """One of several texts."""
        return of[self.below(len(of))]


def policy_names(server: Server, namespace: str = "") -> Iterator[tuple[str, str]]:
    """Every policy, with its namespace."""
    for name in server.names(f"{namespace}sys/policies/acl"):
        if name != "root":
            yield namespace, name
    for entry in namespaces.below(server, namespace):
        yield from policy_names(server, namespace + entry.name.path)


def paths(text: str, choices: Choices, number: int) -> list[str]:
    """Paths that a policy's rules are about, and their neighbours: beginnings, continuations, other words."""
    rules = [rule for rule in _rules(text) if "{{" not in rule] or ["secret/*"]
    found: dict[str, None] = {}
    tries = 0
    while len(found) < number and tries < number * 20:
        tries += 1
        path = _instance(choices.one(rules), choices)
        for _ in range(choices.below(3)):
            path = _neighbour(path, choices)
        if path := path.lstrip("/"):
            found[path] = None
    return list(found)


def _rules(text: str) -> list[str]:
    """The paths of a policy's rules, in HCL or in JSON."""
    try:
        value = parse(text)
    except (ValueError, DepthError):
        return _RULE.findall(text)
    found = as_map(value).get("path")
    blocks = found if isinstance(found, list) else [found]
    return [path for block in blocks for path in as_map(block)]


def _instance(rule: str, choices: Choices) -> str:
    words = [choices.one(_WORDS) if part == "+" else part for part in rule.split("/")]
    path = "/".join(words)
    if path.endswith("*"):
        path = path[:-1] + choices.one(("", *_WORDS)) + choices.one(("", "/", "/more"))
    return path


def _neighbour(path: str, choices: Choices) -> str:
    parts = path.split("/")
    match choices.below(4):
        case 0:
            return f"{path}/{choices.one(_WORDS)}"
        case 1:
            return "/".join(parts[:-1])
        case 2:
            parts[choices.below(len(parts))] = choices.one(_WORDS)
            return "/".join(parts)
        case _:
            return path + choices.one("/xz")


def compare(source: Server, destination: Server, *, number: int, seed: int) -> dict[str, object]:
    """Ask both sides about at least `number` triples of policy, path and verb; where they decide differently."""
    choices = Choices(seed)
    known = list(policy_names(source))
    each = max(1, -(-number // (len(VERBS) * max(1, len(known)))))
    asked = 0
    differ: list[dict[str, object]] = []
    for namespace, policy in known:
        text = str((source.read(f"{namespace}{policies.PREFIX}{policy}") or {}).get("policy"))
        wanted = paths(text, choices, each)
        one = _decided(source, namespace, policy, wanted)
        other = _decided(destination, namespace, policy, wanted)
        asked += len(wanted) * len(VERBS)
        differ += [
            {"policy": namespace + policy, "path": path, "verb": verb}
            for path in wanted
            for verb in VERBS
            if (verb in one[path]) != (verb in other[path])
        ]
    return {"policies": len(known), "asked": asked, "seed": seed, "different": differ}


def _decided(server: Server, namespace: str, policy: str, wanted: list[str]) -> Mapping[str, list[object]]:
    """What a token with that policy alone may do on each path."""
    found: dict[str, list[object]] = {}
    with server.token(namespace, policy=policy, ttl=_TTL) as token:
        for begin in range(0, len(wanted), _AT_ONCE):
            some = wanted[begin : begin + _AT_ONCE]
            answer = server.write(f"{namespace}sys/capabilities", {"token": token, "paths": some})
            for path in some:
                if path not in answer:
                    raise CommandError(
                        f"{server.label}: it does not say what policy {policy} decides on {path}"
                    )
                found[path] = as_list(answer[path])
    return found

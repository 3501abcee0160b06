# SPDX-License-Identifier: EUPL-1.2
"""Policy text to Policy. What is refused, and the words of the refusal, are OpenBao 2.7's as measured."""

from __future__ import annotations

import msgspec

from vault.framework.hcl.parser import is_json, parse
from vault.framework.hcl.syntax_tree import Block, HclError, Item
from vault.framework.quote import quote
from vault.policy.builtin import ROOT
from vault.policy.listing import check_filter
from vault.policy.model import CAPABILITY_NAMES, Capability, PathRule, Policy, PolicyError
from vault.policy.template import is_templated
from vault.policy.text import decode
from vault.policy.text.control_group import parse_control_group

__all__ = ["Policy", "PolicyError", "parse_policy"]

_PATH_KEYS = frozenset(
    {
        "comment",
        "policy",
        "capabilities",
        "allowed_parameters",
        "denied_parameters",
        "required_parameters",
        "min_wrapping_ttl",
        "max_wrapping_ttl",
        "mfa_methods",
        "control_group",
        "pagination_limit",
        "list_scan_response_keys_filter_path",
        "expiration",
    }
)
_LEGACY = {
    "": "",
    "deny": "deny",
    "read": "read list",
    "write": "create read update delete list",
    "sudo": "create read update delete list sudo",
}


def parse_policy(
    name: str, text: str, *, allow_slashes: bool = False, allow_wildcards: bool = False
) -> Policy:
    """Read a policy in HCL or JSON, possibly base64 encoded; only `root` may be empty.

    The flags are the policy's settings of what identity templates may put into its paths. Raises PolicyError
    with OpenBao's message for anything that is not a policy.
    """
    if name == ROOT and not text:
        return Policy(name, "", ())
    text = decode.policy_text(text)
    try:
        body = parse(text)
    except HclError as error:
        raise PolicyError(f"failed to parse policy: {error}") from None
    json = is_json(text)
    try:
        _refuse_unknown(body, frozenset({"name", "path"}))
        for item in body.named("name"):
            decode.string(item, "name", json=json)
        rules = tuple(_rule(item, json=json) for item in body.named("path"))
    except PolicyError as error:
        raise PolicyError(f"failed to parse policy: {error.message}") from None
    return Policy(
        name,
        text,
        rules,
        templated=any(rule.templated for rule in rules),
        allow_slashes=allow_slashes,
        allow_wildcards=allow_wildcards,
    )


def _refuse_unknown(block: Block, known: frozenset[str]) -> None:
    """Raise PolicyError that lists each key of `block` outside `known`, with its line."""
    faults = [
        f"\n\t* invalid key on line {item.line if item.assigned else 0}"
        for item in block.items
        if item.key not in known
    ]
    if faults:
        plural = "s" if len(faults) > 1 else ""
        raise PolicyError(f"{len(faults)} error{plural} occurred:{''.join(faults)}\n\n")


def _rule(item: Item, *, json: bool) -> PathRule:
    written = item.labels[0] if item.labels else "path"
    try:
        templated = is_templated(written)
        block = decode.block(item)
        _refuse_unknown(block, _PATH_KEYS)
        rule = _granting(written.removeprefix("/"), block, json=json)
        return _constrained(msgspec.structs.replace(rule, templated=templated), block)
    except PolicyError as error:
        raise PolicyError(f'path "{quote(written)}": {error.message}') from None


class _Draft:
    """The keys of one block while they are read: repeated lists and objects add up, of others the last counts."""

    def __init__(self) -> None:
        self.capabilities: list[str] = []
        self.policy = ""
        self.allowed: dict[str, list[object]] = {}
        self.denied: dict[str, list[object]] = {}
        self.required: list[str] = []
        self.mfa_methods: list[str] = []
        self.pagination_limit = 0
        self.filter_path = ""
        self.expiration = ""

    def take(self, item: Item, *, json: bool) -> None:
        """Read one item; keys of the second step are skipped."""
        key = item.key
        if key == "capabilities":
            self.capabilities += decode.strings(item, "Capabilities", json=json)
        elif key in ("allowed_parameters", "denied_parameters"):
            merged = self.allowed if key == "allowed_parameters" else self.denied
            for name, accepted in decode.parameters(item, key, json=json).items():
                merged.setdefault(name, []).extend(accepted)
        elif key == "required_parameters":
            self.required += [name.lower() for name in decode.strings(item, key, json=json)]
        elif key == "mfa_methods":
            self.mfa_methods += decode.strings(item, key, json=json)
        elif key == "pagination_limit":
            self.pagination_limit = decode.integer(item, key, json=json)
        elif key == "policy":
            self.policy = decode.string(item, "Policy", json=json)
        elif key == "expiration":
            self.expiration = decode.string(item, key, json=json)
        elif key == "list_scan_response_keys_filter_path":
            self.filter_path = decode.string(item, key, json=json)


def _granting(path: str, block: Block, *, json: bool) -> PathRule:
    """The keys whose faults OpenBao reports under the path twice: types, `+*`, expiration, capabilities."""
    try:
        draft = _Draft()
        for item in block.items:
            draft.take(item, json=json)
        _refuse_wildcard(path)
        return PathRule(
            path=path,
            expires=decode.moment(draft.expiration),
            capabilities=_capabilities(draft),
            allowed={name: tuple(values) for name, values in draft.allowed.items()},
            denied={name: tuple(values) for name, values in draft.denied.items()},
            required=tuple(dict.fromkeys(draft.required)),
            mfa_methods=tuple(draft.mfa_methods),
            pagination_limit=max(draft.pagination_limit, 0),
            filter_path=draft.filter_path,
        )
    except PolicyError as error:
        raise PolicyError(f'path "{quote(path)}": {error.message}') from None


def _refuse_wildcard(path: str) -> None:
    if "+*" in path:
        raise PolicyError("invalid use of wildcards ('+*' is forbidden)")


def _capabilities(draft: _Draft) -> Capability:
    if draft.policy not in _LEGACY:
        raise PolicyError("invalid policy")
    granted = Capability(0)
    for word in (*draft.capabilities, *_LEGACY[draft.policy].split()):
        if word not in CAPABILITY_NAMES:
            raise PolicyError("invalid capability")
        granted |= CAPABILITY_NAMES[word]
    return Capability.DENY if Capability.DENY in granted else granted


def _constrained(rule: PathRule, block: Block) -> PathRule:
    """The keys whose faults OpenBao reports under the path once."""
    bounds = {"min_wrapping_ttl": 0.0, "max_wrapping_ttl": 0.0}
    for key in bounds:
        for item in block.named(key):
            bounds[key] = decode.seconds(item.value, key)
    least, most = bounds.values()
    if least and most and most < least:
        raise PolicyError("max_wrapping_ttl cannot be less than min_wrapping_ttl")
    if rule.filter_path:
        check_filter(rule.filter_path)
    groups = [parse_control_group(item) for item in block.named("control_group")]
    return msgspec.structs.replace(
        rule,
        min_wrapping_ttl=max(least, 0.0),
        max_wrapping_ttl=max(most, 0.0),
        control_group=groups[-1] if groups else None,
    )

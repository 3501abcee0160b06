# SPDX-License-Identifier: EUPL-1.2
"""Turns an answer into comparable text, and two such texts into a readable difference."""

import difflib
import json
import re
from collections.abc import Mapping

from tests.conformance.normalise import Normaliser
from tests.conformance.scenario import Step
from tests.conformance.wire import Answer, is_number

_NEAR_KEYS = frozenset({"ttl", "lease_duration", "creation_ttl"})
_NEAR_SECONDS = 5
_PASSING = frozenset({"retry-after", "x-ratelimit-reset"})
_NOT_NOW = frozenset({429, 503})
_COME_AGAIN = "DV-09"
"""The divergence that every answer of such a status has: a `Retry-After` of a second or two. One step shows it."""
_TAGGED = "DV-38"
"""The divergence that every read and write of a versioned secret has: an entity tag. Some steps show it."""
_TAG = re.compile(r'"v\d+\.[0-9a-f]+\.[adx][0-9a-f]*(?:\.[0-9a-f]+)?"')
_KEYS = "/.well-known/keys"
_KEPT = re.compile(r"max-age=\d+")
"""How long the reference lets its signing keys be kept: by chance, and only once a job of each minute has looked at them
since they were changed; until then it says `no-store`, which ours always does."""
_WHAT_IS_LEFT = re.compile(r'(?<=max_ttl of ")(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?=")')
"""A duration in a warning that gets shorter as the token gets older."""


def view(answer: Answer, step: Step, normaliser: Normaliser) -> dict[str, object]:
    """What is compared of `answer`: status, headers, and the normalised body under the step's rules."""
    seen: dict[str, object] = {
        "status": answer.status,
        "headers": {
            name: _header(name, value, normaliser)
            for name, value in answer.headers.items()
            if step.divergence == _COME_AGAIN or not _comes_again(answer.status, name, value)
            if step.divergence == _TAGGED or not _is_our_tag(name, value)
        },
    }
    body = answer.json()
    if body is None and answer.body.strip() != b"null":
        return seen | {"text": normaliser.text(answer.body.decode("utf-8", "replace"))}
    if not answer.body.endswith(b"\n"):
        seen["note"] = "no newline at the end"
    if step.pick and answer.status < 400:
        body = {path: dig(body, path) for path in step.pick}
    if isinstance(body, Mapping):
        body = {key: outline(item, 0) if key in step.passing else item for key, item in body.items()}
    if step.shape:
        body = outline(body, step.shape)
    body = normaliser.value(body)
    for path in step.unordered:
        _sort(body, path)
    return seen | {"json": body}


def _comes_again(status: int, name: str, value: str) -> bool:
    return status in _NOT_NOW and name == "retry-after" and value in ("1", "2")


def _is_our_tag(name: str, value: str) -> bool:
    return name == "etag" and bool(_TAG.fullmatch(value))


def _header(name: str, value: str, normaliser: Normaliser) -> str:
    """A header's value; of seconds that pass while a scenario is played, about how many."""
    if name in _PASSING and value.isdigit() and int(value) > _NEAR_SECONDS:
        return f"<about {round(int(value), -2)} seconds>"
    return normaliser.text(value)


def difference(
    step: Step, expected: Mapping[str, object], found: Mapping[str, object], waited: float = 0.0
) -> str:
    """A unified difference, or "" when equal; times to live may be a few seconds apart.

    `waited` is how many seconds the slowest step so far took on both servers together: so much older what one of them
    made may be than what the other made, in either direction, when they are asked how long it lives on.
    """
    expected = _before_the_job(step, expected)
    left, right = _dump(expected), _dump(_settle(expected, found, _NEAR_SECONDS + waited))
    if left == right:
        return ""
    lines = difflib.unified_diff(
        left.splitlines(), right.splitlines(), "reference", "subject", lineterm="", n=3
    )
    return step.title() + "\n" + "\n".join(lines)


def _before_the_job(step: Step, expected: Mapping[str, object]) -> Mapping[str, object]:
    """What the reference answers for signing keys until its job has looked at them."""
    headers = expected.get("headers")
    if step.path.endswith(_KEYS) and isinstance(headers, Mapping):
        if _KEPT.fullmatch(str(headers.get("cache-control"))):
            return {**expected, "headers": {**headers, "cache-control": "no-store"}}
    return expected


def dig(value: object, path: str) -> object:
    """The part of a JSON `value` at a dotted `path`; the text "<absent>" when there is none."""
    for name in path.split("."):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return "<absent>"
    return value


def outline(value: object, depth: int) -> object:
    """Keys down to `depth`, the names of types below; JSON's only type of number is one: a second spent is `1`, not `1.0`."""
    if depth and isinstance(value, Mapping):
        return {key: outline(item, depth - 1) for key, item in value.items()}
    if is_number(value):
        return "<number>"
    return f"<{type(value).__name__}>"


def _sort(body: object, path: str) -> None:
    found = body[path] if isinstance(body, Mapping) and path in body else dig(body, path)
    if isinstance(found, list):
        found.sort(key=lambda item: json.dumps(item, sort_keys=True))


def _settle(expected: object, found: object, near: float, key: str = "") -> object:
    """`found`, but with the expected time to live where it is only a few seconds off."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return {name: _settle(expected.get(name), item, near, name) for name, item in found.items()}
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [_settle(*pair, near, key) for pair in zip(expected, found, strict=True)]
    if key in _NEAR_KEYS and isinstance(expected, int) and isinstance(found, int) and expected and found:
        return expected if abs(expected - found) <= near else found
    if isinstance(expected, str) and isinstance(found, str) and expected != found:
        return _settle_text(expected, found, near)
    return found


def _settle_text(expected: str, found: str, near: float) -> str:
    left, right = _WHAT_IS_LEFT.search(expected), _WHAT_IS_LEFT.search(found)
    if left and right and abs(_seconds(left) - _seconds(right)) <= near:
        return found[: right.start()] + left[0] + found[right.end() :]
    return found


def _seconds(duration: re.Match[str]) -> int:
    hours, minutes, seconds = (int(part or 0) for part in duration.groups())
    return hours * 3600 + minutes * 60 + seconds


def _dump(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)

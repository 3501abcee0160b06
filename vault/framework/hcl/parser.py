# SPDX-License-Identifier: EUPL-1.2
"""HCL version 1 and its JSON form: text in, frozen items out.

Policies and the server's configuration file are both written in it. The language is that of OpenBao
2.7 as measured, one reading stricter: what starts with `{` has to be JSON, while OpenBao forgives missing
commas, missing braces and text behind the last brace.
"""

from __future__ import annotations

import msgspec

from vault.framework.hcl.syntax_tree import Block, Body, HclError, Item

MAX_CHARACTERS = 1 << 19
"""Longest accepted text, in characters."""


def is_json(text: str) -> bool:
    """Whether `text` is read as JSON: its first visible character is `{`."""
    return text.lstrip().startswith("{")


def parse(text: str) -> Body:
    """Read `text`, JSON when its first visible character is `{` and HCL otherwise.

    JSON objects are flattened as OpenBao does: `{"path": {"a": {…}}}` reads like `path "a" {…}`.
    Raises HclError, and nothing else, for anything that is not well formed or exceeds the limits.
    """
    from vault.framework.hcl import grammar  # the parser generator costs tens of milliseconds to import

    json = is_json(text)
    if len(text) > MAX_CHARACTERS:
        raise HclError(1, f"text is longer than {MAX_CHARACTERS} characters", json=json)
    body = grammar.read(text, json=json)
    return _flattened(body) if json else body


def _flattened(block: Block) -> Block:
    """Turn JSON's nested objects into keys with labels, and lists of objects into repeated items."""
    pending = list(reversed(block.items))
    done: list[Item] = []
    while pending:
        item = pending.pop()
        value = item.value
        if isinstance(value, Block) and value.items and all(isinstance(i.value, Block) for i in value.items):
            pending.extend(
                msgspec.structs.replace(inner, keys=item.keys + inner.keys) for inner in reversed(value.items)
            )
        elif isinstance(value, tuple) and value and all(isinstance(v, Block) for v in value):
            pending.extend(msgspec.structs.replace(item, value=v) for v in reversed(value))
        elif isinstance(value, Block):
            done.append(msgspec.structs.replace(item, value=_flattened(value)))
        else:
            done.append(item)
    return Block(tuple(done))

# SPDX-License-Identifier: Apache-2.0
"""Lists in pages that name the next one."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urljoin

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEXT: Final = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?', re.IGNORECASE)
_LIMIT: Final = 3
_TURNS: Final = 40


@TESTS.test("ESA-KV-011", feature="paging")
def named_pages_have_each_key_once(t: Trial) -> None:
    """Where a page names the next one, following those names gives every key that stays exactly once."""
    folder = t.folder()
    names = [f"key{number:02}" for number in range(0, 20, 2)]
    for name in names:
        t.done(t.kv.put(t.secret_below(folder, name), t.value()), "a secret is written")
    page = t.kv.list(f"{folder}/", limit=_LIMIT)
    t.served(page.ok and len(page.keys) <= _LIMIT, "a page is given")
    if not _NEXT.search(page.answer.headers.get("link", "")):
        return  # pages are asked for by the last key
    target = f"{t.kv.where.base}/{t.kv.metadata_path(f'{folder}/')}"
    seen, turns = list(page.keys), 0
    while (link := _NEXT.search(page.answer.headers.get("link", ""))) and turns < _TURNS:
        target = urljoin(target, link[1])
        page = t.kv.send_literal("LIST", target)
        t.is_so(page, page.ok and 0 < len(page.keys) <= _LIMIT, "a page that was named is given")
        seen += page.keys
        beside = t.secret_below(folder, f"key{2 * turns + 1:02}")
        t.done(t.kv.put(beside, t.value()), "a secret is written beside")
        turns += 1
    t.must(turns < _TURNS, "named pages come to an end")
    t.equal(sorted(name for name in seen if name in names), names, "each key that stays is seen exactly once")
    t.equal(len(seen), len(set(seen)), "no key is seen twice")

# SPDX-License-Identifier: EUPL-1.2
"""Ways into the product: who listens, and who gets to see the headers that a caller's token comes in."""

import ast
from collections.abc import Iterator

from tests.house.tree import ROOT, files, nodes

_LISTENING = {"listen", "create_server", "start_server", "start_unix_server", "create_unix_server"}
_LISTENERS = {
    "cli/vaultctl/commands/login/callback.py",
    "vault/log/reader/__main__.py",
    "vault/log/witness/server/listening.py",
    "vault/server/http/listeners.py",
    "vault/server/http/sockets.py",
}
"""The server's own listeners: every request that comes through them is judged. The port of a sign-in, on which
nothing is answered but by fixed pages. The log reader's socket, in a folder that is the server's alone. And the port of a
witness, which is no server of secrets."""
_HEADERS = {
    "vault/audit/record.py",
    "vault/repeated/head_cache.py",
    "vault/wire/http.py",
    "vault/wire/inline_auth.py",
    "vault/wire/proofs.py",
}
"""Who reads the headers of a call's head: to take a login out of them, to know a request of the same bytes, and to
record those that an operator has named, and the trace of the caller."""


def _used(names: set[str], *, of: str = "") -> Iterator[str]:
    """Yield the files of the product in which an attribute of one of these names is used, of `of` if given."""
    for path in files(".py"):
        name = str(path.relative_to(ROOT))
        if not name.startswith(("vault/", "nhi/", "hsm/", "cli/")):
            continue
        for node in nodes(path.read_text(encoding="utf-8")):
            if isinstance(node, ast.Attribute) and node.attr in names:
                value = node.value
                if not of or of == (
                    value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
                ):
                    yield name


def test_sl_78_nobody_but_the_server_listens() -> None:
    assert set(_used(_LISTENING)) == _LISTENERS


def test_sl_42_no_engine_sees_the_headers_that_a_token_comes_in() -> None:
    assert set(_used({"headers"}, of="head")) == _HEADERS

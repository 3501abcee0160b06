# SPDX-License-Identifier: EUPL-1.2
"""What a development server prints can be typed as it stands."""

import re
import sys
from pathlib import Path

import pytest

from vault.server.dev.server import _program
from vault.server.dev.text import banner


def test_the_banner_says_what_it_is_and_where_the_page_is() -> None:
    text = banner(
        url="http://127.0.0.1:8200",
        unseal_key="k",
        by_token=True,
        root_token="t",
        authority="",
        database="",
        keys="",
        stored=True,
        program="/a/vaultctl",
        version="Coffre 0.1.0",
    )
    assert text.startswith("\nCoffre 0.1.0\n")
    assert "http://127.0.0.1:8200/ui/" in text
    assert "$ /a/vaultctl kv put secret/hello" in text
    assert not re.search(r"(?<!/)\bvaultctl (kv|operator)", text)


@pytest.mark.parametrize(
    ("database", "keys", "told"),
    [
        ("", "", "lost when the server stops"),
        ("postgresql://a@/b", "", "on this screen only"),
        ("/a/b.db", "/a/b.db.dev-keys", "in /a/b.db.dev-keys:"),
    ],
)
def test_the_banner_says_where_secrets_and_keys_are_kept(database: str, keys: str, told: str) -> None:
    text = banner(
        url="",
        unseal_key="k",
        by_token=False,
        root_token="t",
        authority="",
        database=database,
        keys=keys,
        stored=True,
        program="",
        version="",
    )
    assert told in text
    assert database in text


def test_vaultctl_is_called_as_a_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "vaultctl"
    monkeypatch.setattr(sys, "argv", [str(program), "server"])
    assert _program("") == str(program)
    program.touch(mode=0o700)
    assert _program(f"/nowhere:{tmp_path}") == "vaultctl"
    monkeypatch.setattr(sys, "argv", ["/x/__main__.py"])
    assert _program("/nowhere") == f"{sys.executable} -m vaultctl"

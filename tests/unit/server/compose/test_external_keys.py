# SPDX-License-Identifier: EUPL-1.2
"""Which plugins of external keys a server has, and which modules its operator allows."""

import importlib.util
from pathlib import Path

import pytest

from vault.framework.clock import Entropy
from vault.server.compose.external_keys import ALIASES, aliases, external_key_providers
from vault.server.config.files import load
from vault.server.config.settings import Config
from vault.server.failure import StartFailure


def _config(folder: Path) -> Config:
    file = folder / "server.hcl"
    file.write_text('storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n')
    return load([str(file)], {})


def test_pkcs11_is_there_where_its_library_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    providers = external_key_providers(
        Entropy(), _config(tmp_path), {ALIASES: "soft=/a.so", "RUNTIME_DIRECTORY": "/run/x"}
    )
    assert {name: provider.secrets for name, provider in providers.items()} == {"pkcs11": frozenset({"pin"})}
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert external_key_providers(Entropy(), _config(tmp_path), {}) == {}


def test_aliases_are_read_as_openbao_s_plugin_has_them() -> None:
    assert aliases("") == {}
    assert aliases("soft=/usr/lib/soft.so, b=/x,soft=/usr/lib/other=1.so,") == {
        "soft": "/usr/lib/other=1.so",
        "b": "/x",
    }


@pytest.mark.parametrize(
    "text", ["soft", "=/a.so", "soft=a.so", "soft=", "a=/a.so,b", "a=/lib/pkcs11-SPY.so"]
)
def test_an_alias_that_is_none_keeps_the_server_from_starting(text: str, tmp_path: Path) -> None:
    with pytest.raises(StartFailure, match=ALIASES):
        external_key_providers(Entropy(), _config(tmp_path), {ALIASES: text})

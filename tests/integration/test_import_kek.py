# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl hsm import-kek` into two tokens: what one sealed, a server that has only the other opens."""

import re
import time
from pathlib import Path

import pytest

from hsm.components import check_value, combine
from tests.hsm.shell import Shell, new_shell
from tests.hsm.tokens import PIN
from tests.integration.processes import PATIENCE
from tests.integration.sealed_site import Site

ONE, OTHER = bytes(range(32)), bytes(range(100, 132))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder with two tokens that have no key yet."""
    return Site(tmp_path, keyed=False)


def imported(shell: Shell, label: str) -> None:
    """Have two custodians type their components for a token."""
    shell.environment |= {"BAO_HSM_TOKEN_LABEL": label}
    shown, code = shell.typed(["import-kek"], [PIN, ONE.hex(), OTHER.hex()])
    assert code == 0, shown
    assert shown.count(f"Check value of the key: {check_value(combine([ONE, OTHER]))}") == 1
    assert re.search(r"version +v0001", shown)


def test_a_vault_that_one_token_sealed_is_opened_by_another_with_the_same_components(site: Site) -> None:
    folder = site.folder / "shell"
    folder.mkdir()
    shell = new_shell(site.softhsm, folder)
    del shell.environment["BAO_HSM_PIN"]
    for label in ("a", "b"):
        imported(shell, label)
    on_a = site.seal("hsm-a")
    with site.serving(on_a):
        keys = site.ask("PUT", "sys/init", {"recovery_shares": 3, "recovery_threshold": 2})[1]
        site.root = keys["root_token"]
        assert site.ask("POST", "sys/mounts/kv", {"type": "kv"})[0] == 204
        assert site.ask("POST", "kv/a", {"x": "1"})[0] == 204
    with site.serving(on_a.replace('token_label = "a"', 'token_label = "b"')):
        deadline = time.monotonic() + PATIENCE
        while site.ask("GET", "sys/seal-status")[1]["sealed"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert site.reads()
        assert site.every_slot_opens()

# SPDX-License-Identifier: EUPL-1.2
"""npm's node-vault cannot tell our server from the field's."""

import json
from pathlib import Path

import hvac

from tests.integration.clients import INSTALLED, run
from tests.integration.coffre import Place
from tests.integration.helpers_of_bao import Workload

SCRIPT = Path(__file__).parent / "node" / "vault.cjs"


def test_node_vault_logs_in_keeps_secrets_and_hears_refusals(
    root: hvac.Client, place: Place, name: str, tmp_path: Path
) -> None:
    Workload(root, place, tmp_path, name)
    environment = {
        **place.environment(tmp_path),
        "BAO_TOKEN": "",
        "NODE_EXTRA_CA_CERTS": str(place.authority),
        "NODE_PATH": str(INSTALLED / "node_modules"),
        "NAME": name,
        "ROLE_ID": (tmp_path / "role-id").read_text(),
        "SECRET_ID": (tmp_path / "secret-id").read_text(),
    }
    told = json.loads(run(["node", str(SCRIPT)], environment, tmp_path))
    assert told == {
        "health": [True, False],
        "stranger": [403, "permission denied"],
        "wrong": [400, "invalid role or secret ID"],
        "metadata": {"role_name": "app"},
        "policies": ["default", name],
        "self": {"role_name": "app"},
        "renewed": True,
        "read": {"password": "first"},
        "written": 1,
        "updated": 2,
        "old": {"a": 1},
        "listed": ["app", "made"],
        "missing": [404, "Status 404"],
        "forbidden": [403, "1 error occurred:\n\t* permission denied\n\n"],
        "child": ["default", name],
        "revoked": [403, "permission denied"],
    }

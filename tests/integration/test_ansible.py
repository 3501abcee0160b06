# SPDX-License-Identifier: EUPL-1.2
"""Ansible's community.hashi_vault finds secrets on our server as on the field's: lookups, modules, log-ins."""

import json
import sys
from pathlib import Path
from typing import Any

import hvac
import pytest

from tests.integration.clients import INSTALLED, run
from tests.integration.coffre import Place
from tests.integration.helpers_of_bao import Workload

ANSIBLE = str(Path(sys.executable).parent / "ansible-playbook")
_PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  module_defaults:
    group/community.hashi_vault.vault:
      url: ADDRESS
      ca_cert: AUTHORITY
      auth_method: approle
      mount_point: NAME
      role_id: ROLE_ID
      secret_id: SECRET_ID
  vars:
    ansible_python_interpreter: PYTHON
    ansible_hashi_vault_auth_method: approle
    ansible_hashi_vault_mount_point: NAME
    ansible_hashi_vault_role_id: ROLE_ID
    ansible_hashi_vault_secret_id: SECRET_ID
    kv2: "{{ lookup('community.hashi_vault.vault_kv2_get', 'app', engine_mount_point='NAME') }}"
    login: "{{ lookup('community.hashi_vault.vault_login') }}"
    made: "{{ lookup('community.hashi_vault.vault_token_create', ttl='5m') }}"
  tasks:
    - community.hashi_vault.vault_kv2_write:
        path: made
        engine_mount_point: NAME
        data: {a: b}
    - community.hashi_vault.vault_kv2_get: {path: made, engine_mount_point: NAME}
      register: got
    - community.hashi_vault.vault_list: {path: NAME/metadata}
      register: listed
    - community.hashi_vault.vault_kv2_get: {path: none, engine_mount_point: NAME}
      register: missing
      ignore_errors: true
    - community.hashi_vault.vault_read: {path: sys/mounts}
      register: forbidden
      ignore_errors: true
    - copy:
        dest: TOLD
        content: >-
          {{ {
            'kv2': kv2.secret,
            'version': kv2.metadata.version,
            'one': lookup('community.hashi_vault.hashi_vault', 'NAME/data/app:password'),
            'read': lookup('community.hashi_vault.vault_read', 'NAME/data/app').data.data,
            'list': lookup('community.hashi_vault.vault_list', 'NAME/metadata').data['keys'],
            'write': lookup('community.hashi_vault.vault_write', 'NAME/data/more',
                            data={'data': {'c': 'd'}}).data.version,
            'policies': login.auth.policies,
            'made': made.auth.policies,
            'got': got.secret,
            'listed': listed.data.data['keys'],
            'missing': missing.failed,
            'forbidden': forbidden.msg,
          } | to_json }}
"""


@pytest.mark.timeout(240)
def test_lookups_and_modules_log_in_with_approle_and_find_secrets(
    root: hvac.Client, place: Place, name: str, tmp_path: Path
) -> None:
    Workload(root, place, tmp_path, name)
    told = played(place, name, tmp_path)
    assert "Forbidden: Permission Denied to path 'sys/mounts'" in told.pop("forbidden")
    assert told == {
        "kv2": {"password": "first"},
        "version": 1,
        "one": "first",
        "read": {"password": "first"},
        "list": ["app", "made"],
        "write": 1,
        "policies": ["default", name],
        "made": ["default", name],
        "got": {"a": "b"},
        "listed": ["app", "made"],
        "missing": True,
    }


def played(place: Place, name: str, folder: Path) -> Any:
    """Run the playbook; return what it found."""
    words = {
        "PYTHON": sys.executable,
        "ADDRESS": place.address,
        "AUTHORITY": str(place.authority),
        "NAME": name,
        "ROLE_ID": (folder / "role-id").read_text(),
        "SECRET_ID": (folder / "secret-id").read_text(),
        "TOLD": str(folder / "told.json"),
    }
    text = _PLAYBOOK
    for word, value in words.items():
        text = text.replace(word, value)
    (folder / "playbook.yml").write_text(text)
    environment = {
        **place.environment(folder),
        "BAO_TOKEN": "",
        "ANSIBLE_HASHI_VAULT_ADDR": place.address,
        "ANSIBLE_HASHI_VAULT_CA_CERT": str(place.authority),
        "VAULT_CACERT": str(place.authority),
        "ANSIBLE_COLLECTIONS_PATH": str(INSTALLED),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_HOME": str(folder / "ansible"),
    }
    run([ANSIBLE, "playbook.yml"], environment, folder)
    return json.loads((folder / "told.json").read_text())

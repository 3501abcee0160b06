# SPDX-License-Identifier: EUPL-1.2
"""A server that is killed while issuers come and go and passwords are used has the old state or the new one, whole."""

import random
from pathlib import Path
from typing import Any

from tests.churn import Churn
from tests.fuzz.process import Client, VaultProcess
from tests.ssh_keys import ed25519_pair, private_pem, public_line

KILLS = 4
KEY = public_line(ed25519_pair("client"))


def ask(client: Client, method: str, path: str, body: object = None) -> Any:
    """Send what must not fail; the data of the answer."""
    answer = client.request(method, f"/v1/ssh/{path}", body)
    assert answer.status in {200, 204}, answer.body
    return answer.json().get("data") if answer.status == 200 else None


class Authorities(Churn):
    """Makes issuers, renames, chooses and removes them, and uses one-time passwords up, without end."""

    def __init__(self, vault: VaultProcess, begin: int) -> None:
        super().__init__(vault, begin)
        self.used: list[str] = []
        """Passwords that were acknowledged as verified."""
        self.handed_out: list[str] = []
        """Passwords that nobody used."""

    def go_round(self, client: Client) -> int:
        number = self.rounds
        pair = ed25519_pair(f"pair {number % 7}")
        brought = {"private_key": private_pem(pair), "public_key": public_line(pair)}
        issuer = ask(client, "POST", f"issuers/import/n{number}", {**brought, "set_default": True})
        ask(client, "POST", f"issuer/{issuer['issuer_id']}", {"issuer_name": f"m{number}"})
        kept = ask(client, "POST", "creds/otp", {"ip": "192.0.2.1"})["key"]
        used = ask(client, "POST", "creds/otp", {"ip": "192.0.2.1"})["key"]
        ask(client, "POST", "verify", {"otp": used})
        self.used.append(used)
        self.handed_out.append(kept)
        ask(client, "DELETE", "config/ca" if number % 5 == 4 else f"issuer/m{number}")
        return number + 1


def _whole(vault: VaultProcess, churn: Authorities) -> None:
    """Each issuer that is listed is found by its id and name and signs, and a new one takes any place that is free."""
    with vault.client() as client:
        answer = client.request("LIST", "/v1/ssh/issuers")
        listed = answer.json()["data"]["key_info"] if answer.status == 200 else {}
        default = client.request("GET", "/v1/ssh/config/issuers")
        chosen = default.json()["data"]["default"] if default.status == 200 else ""
        assert [one for one, about in listed.items() if about["is_default"]] == [chosen] * bool(chosen)
        for one, about in listed.items():
            for reference in filter(None, (one, about["issuer_name"])):
                assert ask(client, "GET", f"issuer/{reference}")["issuer_id"] == one
            role = {
                "key_type": "ca",
                "allow_user_certificates": True,
                "allowed_users": "a",
                "issuer_ref": one,
            }
            ask(client, "POST", "roles/whole", role)
            signed = ask(client, "POST", "sign/whole", {"public_key": KEY, "valid_principals": "a"})
            assert signed["issuer_id"] == one
        for password in churn.used:
            assert client.request("POST", "/v1/ssh/verify", {"otp": password}).status == 400
        for password in churn.handed_out:
            assert client.request("POST", "/v1/ssh/verify", {"otp": password}).status == 200
        if listed:
            ask(client, "DELETE", "config/ca")
        for number in range(max(0, churn.rounds - 2), churn.rounds + 2):
            for name in (f"n{number}", f"m{number}"):
                ask(client, "POST", f"issuers/import/{name}", {"key_type": "ed25519"})
        ask(client, "DELETE", "config/ca")


def test_a_kill_while_issuers_and_passwords_change_leaves_the_old_state_or_the_new_one(
    tmp_path: Path,
) -> None:
    chance = random.Random(22)
    vault = VaultProcess(tmp_path)
    try:
        vault.start()
        vault.initialise()
        with vault.client() as client:
            client.request("POST", "/v1/sys/mounts/ssh", {"type": "ssh"})
            ask(
                client,
                "POST",
                "roles/otp",
                {"key_type": "otp", "default_user": "a", "cidr_list": "0.0.0.0/0"},
            )
        seen = 0
        for _ in range(KILLS):
            churn = Authorities(vault, seen)
            churn.start()
            churn.reach(seen + chance.randrange(2, 9))
            vault.kill()
            churn.join()
            vault.start()
            vault.unseal()
            _whole(vault, churn)
            seen = churn.rounds + 1
    finally:
        vault.stop()

# SPDX-License-Identifier: EUPL-1.2
"""`sys/rotate/recovery` and `sys/rotate/root` step by step; every answer is compared with OpenBao elsewhere."""

import base64

from tests.unit.engines.system.seal.test_slots import Estate, play
from tests.unit.seal.keys import Holder

RECOVERY = "rotate/recovery"


def test_recovery_shares_are_replaced_once_they_were_given_back() -> None:
    async def scenario() -> None:
        here = await Estate(can_unseal=False).open()
        assert (await here("GET", f"{RECOVERY}/init")).json()["data"]["required"] == 2
        for method in ("GET", "DELETE"):
            assert (await here(method, f"{RECOVERY}/verify")).status == 400
        body = {"secret_shares": 2, "secret_threshold": 2, "require_verification": True}
        begun = (await here("POST", f"{RECOVERY}/init", body)).json()["data"]
        for share in here.shares[:2]:
            step = {"key": share, "nonce": begun["nonce"]}
            done = (await here("POST", f"{RECOVERY}/update", step)).json()["data"]
        assert done["complete"]
        nonce = (await here("DELETE", f"{RECOVERY}/verify")).json()["data"]["nonce"]
        assert (await here("GET", f"{RECOVERY}/verify")).json()["data"]["nonce"] == nonce
        first = await here("POST", f"{RECOVERY}/verify", {"key": done["keys"][0], "nonce": nonce})
        assert first.json()["data"]["progress"] == 1
        last = await here("POST", f"{RECOVERY}/verify", {"key": done["keys"][1], "nonce": nonce})
        assert last.json()["data"] == {"complete": True, "nonce": nonce}
        assert (await here("GET", "seal-status")).json()["n"] == 2

    play(scenario)


def test_a_rekey_can_be_given_up() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        for kind in ("root", "recovery"):
            body = {"secret_shares": 1, "secret_threshold": 1}
            assert (await here("POST", f"rotate/{kind}/init", body)).json()["data"]["started"]
            assert (await here("GET", f"rotate/{kind}/verify")).json()["data"]["started"] is False
            assert (await here("DELETE", f"rotate/{kind}/init")).status == 204
            assert not (await here("GET", f"rotate/{kind}/init")).json()["data"]["started"]
            assert (await here("POST", f"rotate/{kind}/verify", {"key": "00", "nonce": "x"})).status == 400
            assert (await here("DELETE", f"rotate/{kind}/verify")).status == 400

    play(scenario)


def test_consent_to_another_root_key_is_given_with_recovery_shares() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        begun = (await here("POST", "rotate/root/init", {})).json()["data"]
        for share in here.shares[1:]:
            step = {"key": share, "nonce": begun["nonce"]}
            done = (await here("POST", "rotate/root/update", step)).json()["data"]
        assert (done["complete"], done["keys"]) == (True, [])
        assert (await here.slots())["root_version"] == 2

    play(scenario)


def test_shares_that_were_encrypted_are_kept_when_asked() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        holder = Holder("one")
        body = {
            "secret_shares": 2,
            "secret_threshold": 2,
            "pgp_keys": [holder.text, holder.text],
            "backup": True,
        }
        begun = (await here("POST", f"{RECOVERY}/init", body)).json()["data"]
        assert begun["backup"]
        for share in here.shares[:2]:
            step = {"key": share, "nonce": begun["nonce"]}
            done = (await here("POST", f"{RECOVERY}/update", step)).json()["data"]
        kept = (await here("GET", f"{RECOVERY}/backup")).json()
        assert kept["keys"] == {holder.fingerprint: done["keys"]}
        assert kept["data"]["nonce"] == begun["nonce"]
        shares = [holder.read(base64.b64decode(key)) for key in kept["keys_base64"][holder.fingerprint]]
        assert (await here("PUT", "seal", {})).status == 204
        for share in shares:
            status = await here("POST", "unseal", {"key": share})
        assert not status.json()["sealed"]
        assert (await here("GET", "rotate/root/backup")).status == 400
        for kind in ("root", "recovery"):
            assert (await here("DELETE", f"rotate/{kind}/backup")).status == 204
        assert (await here("GET", f"{RECOVERY}/backup")).status == 400

    play(scenario)


def test_recovery_shares_are_made_later_where_there_were_none() -> None:
    async def scenario() -> None:
        here = Estate()
        here.root = ""
        here.root = (await here("POST", "init", {})).json()["root_token"]
        body = {"secret_shares": 1, "secret_threshold": 1}
        made = (await here("POST", f"{RECOVERY}/init", body)).json()["data"]
        assert (made["complete"], made["n"], made["t"], len(made["keys"])) == (True, 1, 1, 1)
        assert "nonce" not in made

    play(scenario)

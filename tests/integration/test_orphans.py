# SPDX-License-Identifier: EUPL-1.2
"""A token with a good signature that this server has not issued: the alarm, from the real process to the page."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hvac
import requests

from tests.integration.coffre import Place, empty_server, open_server
from tests.integration.lineage_estate import Estate
from tests.integration.processes import PATIENCE

UI = "ui = true\n"


@contextmanager
def _again(place: Place) -> Iterator[hvac.Client]:
    """Start the server again, on what lies in its folder now."""
    with empty_server("coffre", place.folder, more=UI) as running:
        client = hvac.Client(url=running.address, token=place.root, verify=str(running.authority))
        client.sys.submit_unseal_key(place.key)
        yield client
        client.adapter.close()


def _keep(folder: Path, kept: Path) -> None:
    kept.mkdir()
    for file in folder.glob("vault.db*"):
        shutil.copy2(file, kept)


def _restore(folder: Path, kept: Path) -> None:
    for file in folder.glob("vault.db*"):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy2(file, folder)


def _page(client: hvac.Client, token: str) -> str:
    """Return what the page shows of anomalies to whoever signs in with a token."""
    with requests.Session() as browser:
        browser.verify, browser.trust_env = client.adapter._kwargs["verify"], False
        form = re.search(
            r'name="form" value="([^"]*)"', browser.get(f"{client.url}/ui/", timeout=PATIENCE).text
        )
        assert form is not None
        fields, sent = {"form": form[1], "token": token}, {"Origin": client.url}
        browser.post(f"{client.url}/ui/sign-in", data=fields, headers=sent, timeout=PATIENCE)
        return browser.get(f"{client.url}/ui/anomalies", timeout=PATIENCE).text


def test_a_token_that_a_server_knows_nothing_of_is_refused_and_raises_the_alarm_everywhere(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with open_server("coffre", folder, more=UI) as place:
        estate = Estate(place.client())
        estate.add("billing", "team-billing")
        estate.present(estate.issue("billing"))
        estate.root.adapter.close()
    _keep(folder, tmp_path / "kept")
    with _again(place) as client:
        auth = client.write("nhi/issue/billing")["auth"]
        estate.root = client
        estate.present(auth["client_token"])
        assert client.read("nhi/orphans")["data"] == {"orphans": [], "more": False}
        assert 'role="alert"' not in _page(client, place.root)
    _restore(folder, tmp_path / "kept")
    with _again(place) as client:
        estate.root = client
        orphan, narrow = (
            auth["client_token"],
            estate.narrowed(auth["client_token"], 'check if method("GET");'),
        )
        for token in (orphan, narrow):
            holder = hvac.Client(url=client.url, token=token, verify=client.adapter._kwargs["verify"])
            assert not holder.is_authenticated()
            holder.adapter.close()
        found = client.read("nhi/orphans")["data"]["orphans"]
        token_id = auth["metadata"]["token_id"]
        assert [(one["token_id"], one["workload"], one["source"]) for one in found] == [
            (token_id, "billing", "127.0.0.1")
        ] * 2
        shown = _page(client, place.root)
        assert 'role="alert"' in shown
        assert token_id[:8] in shown
        assert client.write("nhi/introspect", token=orphan)["data"]["active"] is False
    assert "a valid signature has no record of its issuance" in (folder / "server.log").read_text()
    records = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
    sightings = [one["response"].get("sighting") for one in records if "response" in one]
    assert [one["anomalies"] for one in sightings if one and one["anomalies"]] == [["orphan-signature"]] * 2

# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl audit` on a real server: segments that were closed, a restart under a tail, and namespaces."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fuzz.process import PATIENCE, VaultProcess, wait_until
from tests.integration.test_application_guide import environment, run
from tests.ports import free_port

_READER = 'path "sys/log/*" { capabilities = ["read", "update"] }'


class Site:
    """A server whose log has small segments, and readers of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        device = (
            f'device "socket" "siem" {{ address = "tcp://127.0.0.1:{free_port()}" }}'  # where nobody listens
        )
        more = (
            f'log {{\n  path = "{folder}/log"\n  segment_size = 20000\n  root_reads = true\n  {device}\n}}\n'
        )
        self.vault = VaultProcess(folder, more=more)

    def shell(self, token: str, namespace: str = "") -> Mapping[str, str]:
        """What somebody's shell has."""
        more = {"BAO_NAMESPACE": namespace} if namespace else {}
        address = f"http://127.0.0.1:{self.vault.port}"
        return environment(self.folder, BAO_ADDR=address, BAO_TOKEN=token, **more)

    def does(self, text: str, namespace: str = "", token: str = "") -> str:
        """What commands print, of root unless another token is given."""
        return run("sh", text, self.folder, self.shell(token or self.vault.root, namespace))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        made.vault.start()
        made.vault.initialise()
        with made.vault.client() as root:
            for number in range(60):
                root.request("POST", f"/v1/secret/data/app/{number}", {"data": {"a": "b"}})
        yield made
    finally:
        made.vault.stop()


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith('{"$page"')]


def test_closed_segments_are_copied_and_a_second_copy_fetches_what_is_new(site: Site) -> None:
    def closed() -> bool:
        told = site.does("vaultctl audit segments -format=json || true")  # the log reader may just begin
        logs = list(json.loads(told)["logs"].values()) if told else []
        return sum(bool(one["closed"]) for log in logs for one in log["segments"]) >= 2

    wait_until(closed, lambda: site.does("vaultctl audit segments"))
    site.does("vaultctl audit checkpoints > kept.jsonl; vaultctl read -field=key sys/log/status > vkey")
    site.does("vaultctl audit segments -download=copy")
    told = json.loads(site.does("vaultctl audit verify -key=vkey -checkpoint=kept.jsonl -format=json copy"))
    (log,) = told["logs"]
    assert (told["good"], log["first"]) == (True, 0)
    assert 60 < log["covered"] <= log["signed"] <= log["size"]
    files = {path: path.stat().st_mtime_ns for path in (site.folder / "copy").rglob("*.jsonl")}
    assert len(files) >= 3
    site.does("vaultctl kv put secret/more a=b; sleep 1.2; vaultctl audit segments -download=copy")
    again = [path for path, time in files.items() if path.stat().st_mtime_ns == time]
    assert len(again) >= 2
    assert "No fault was found." in site.does("vaultctl audit verify -key=vkey -checkpoint=kept.jsonl copy")


def test_the_folder_itself_is_verified_while_the_server_writes_to_it(site: Site) -> None:
    site.does("vaultctl read -field=key sys/log/status > vkey; cp -r log snapshot")
    assert "No fault was found." in site.does("vaultctl audit verify -key=vkey snapshot")
    copied = _lines(site.does("vaultctl audit export -folder=snapshot 2> /dev/null"))
    online = _lines(site.does("vaultctl audit export 2> /dev/null"))
    assert copied and online[: len(copied)] == copied


def test_an_export_and_a_search_of_all_have_the_same_records(site: Site) -> None:
    exported = _lines(site.does("vaultctl audit export 2> /dev/null"))
    searched = _lines(site.does("vaultctl audit query -all -reverse -phase=any -format=ndjson"))
    assert searched[: len(exported)] == exported
    assert [json.loads(line)["seq"] for line in exported] == list(range(len(exported)))


@contextmanager
def _tail(site: Site, resource: str, *, namespace: str = "", token: str = "") -> Iterator[tuple[Path, Path]]:
    """Let a tail run that ends without a fault; what it shows, and what it says beside."""
    shown, told = site.folder / "tail.txt", site.folder / "tail.err"
    words = ["vaultctl", "audit", "tail", "-n=0", f"-resource={namespace and f'{namespace}/'}{resource}*"]
    shell = site.shell(token or site.vault.root, namespace)
    with shown.open("wb") as out, told.open("wb") as err:
        tail = subprocess.Popen(words, env=shell, cwd=site.folder, stdout=out, stderr=err)
    try:
        yield shown, told
        tail.send_signal(signal.SIGINT)
        assert tail.wait(PATIENCE) == 0
    finally:
        tail.kill()
        tail.wait()


def _written(site: Site, path: str, shown: Path, namespace: str = "") -> bool:
    """Write a secret; whether a tail has shown that."""
    with site.vault.client() as root:
        root.request("POST", f"/v1/{namespace and f'{namespace}/'}{path}", {"data": {"a": "b"}})
    return path.rpartition("/")[2] in shown.read_text()


def test_a_tail_goes_on_after_a_restart(site: Site) -> None:
    with _tail(site, "secret/tailed/") as (shown, told):
        wait_until(lambda: _written(site, "secret/data/tailed/before", shown), told.read_text)
        site.vault.stop()
        wait_until(lambda: "Trying again." in told.read_text(), told.read_text)
        site.vault.start()
        site.vault.unseal()
        wait_until(lambda: _written(site, "secret/data/tailed/after", shown), told.read_text)
    assert "The server answers again." in told.read_text()
    assert "WARNING" not in told.read_text()


def test_a_namespace_reads_its_own_records_and_misses_none(site: Site) -> None:
    site.does("vaultctl namespace create team")
    site.does(
        f"echo '{_READER}' | vaultctl policy write reader -; vaultctl secrets enable -version=2 kv", "team"
    )
    reader = site.does("vaultctl token create -policy=reader -field=token", "team")
    site.does('vaultctl write kv/data/a - <<< \'{"data":{"b":"c"}}\'', "team")
    site.does('vaultctl write secret/data/elsewhere - <<< \'{"data":{"b":"c"}}\'')

    def found() -> list[str]:
        line = "vaultctl audit query -event=esa.kv.write -format=json"
        records = json.loads(site.does(line, "team", reader))["records"]
        return [record["resource"]["id"] for record in records]

    wait_until(lambda: bool(found()), lambda: str(found()))
    assert found() == ["team/kv/a"]
    exported = _lines(site.does("vaultctl audit export 2> /dev/null", "team", reader))
    numbers = [json.loads(line)["tenant_seq"] for line in exported]
    assert len({json.loads(line)["tenant"] for line in exported}) == 1
    again = "".join(site.does("vaultctl audit export -state=exported.json", "team", reader) for _ in "12")
    numbers = [json.loads(line)["tenant_seq"] for line in _lines(again)]
    assert numbers == list(range(len(numbers)))
    state = json.loads((site.folder / "exported.json").read_text())
    assert state["signed"] and next(iter(state["hashes"].values()))[str(numbers[-1])], state
    refused = site.does("vaultctl audit status 2>&1 || echo $?", "team", reader)
    assert "only available in root namespace" in refused and refused.endswith("2\n")
    with _tail(site, "kv/", namespace="team", token=reader) as (shown, told):
        wait_until(lambda: _written(site, "kv/data/tailed", shown, "team"), told.read_text)
    assert told.read_text() == ""
    assert "secret/" not in shown.read_text()


def test_a_tenants_record_is_proven_with_the_key_that_it_was_given(site: Site) -> None:
    site.does("vaultctl namespace create other")
    site.does(f"echo '{_READER}' | vaultctl policy write reader -", "other")
    reader = site.does("vaultctl token create -policy=reader -field=token", "other")
    site.does("vaultctl read -field=key sys/log/status > vkey")
    place = site.does("vaultctl audit query -limit=1 -format=json", "other", reader)
    (record,) = json.loads(place)["records"]
    line = f"vaultctl audit prove -key=vkey -o=tenant.proof {record['log']}:{record['seq']}"
    assert "good: it is in the log" in site.does(line, "other", reader)
    assert site.does("vaultctl audit verify -proof=tenant.proof -key=vkey")


def test_a_device_that_takes_nothing_is_shown_with_the_reason(site: Site) -> None:
    line = "vaultctl audit devices -format=json || true"
    found = json.loads(site.does(line))["devices"]
    wait_until(
        lambda: any(one["state"] in {"retrying", "stuck"} for one in json.loads(site.does(line))["devices"]),
        lambda: str(found),
    )
    shown = site.does("vaultctl audit devices || echo $?")
    assert re.search(r"^siem +socket +best effort +(retrying|stuck) +[0-9]+ records", shown, re.MULTILINE)
    assert shown.endswith("2\n")


def test_a_hold_is_placed_seen_and_lifted_and_a_purge_answers(site: Site) -> None:
    site.does("vaultctl audit holds place -from=2026-01-01 -reason='inquiry 7' case-7")
    assert "inquiry 7" in site.does("vaultctl audit holds list")
    assert "case-7 (" in site.does("vaultctl audit status")
    assert (
        site.does("vaultctl audit purge -before=1h") == "Nothing was purged: no closed segment is so old.\n"
    )
    site.does("vaultctl audit holds lift case-7")
    assert "There are no holds." in site.does("vaultctl audit holds list || test $? = 2")

# SPDX-License-Identifier: EUPL-1.2
"""The guide to the log: its commands answer as it shows, and a copy that somebody has changed is found out."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fuzz.process import PATIENCE, VaultProcess, wait_until
from tests.house.tree import ROOT
from tests.integration.test_application_guide import environment, run
from tests.integration.test_login_guide import blocks

GUIDE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
_PATTERNS = {
    r"[0-9a-f]{8}-\d+-\d+:\d+": "<record>",
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}": "<uuid>",
    r"[0-9a-f]{8}-\d+-\d+": "<log>",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z": "<time>",
    r"[0-9a-f]{32}": "<block>",
    r"[A-Za-z0-9+/]{43}=": "<hash>",
    r"127\.0\.0\.1|10\.20\.0\.7": "<address>",
    r"\b[A-Za-z0-9]{24}\b": "<accessor>",
    r"records \d+ to \d+|first \d+ records|checkpoint of \d+ records|\d+ to \d+": "<records>",
    r"-{3,}": "---",
    r"  +": "  ",
}
"""What is another in each run."""


def alike(text: str) -> list[str]:
    """The lines of an output, without what is another in each run."""
    for pattern, word in _PATTERNS.items():
        text = re.sub(pattern, word, text)
    return [line.strip() for line in text.strip().splitlines()]


class Site:
    """A server that keeps a log, on which something has happened: ada read a secret, others tried what they may not."""

    def __init__(self, folder: Path) -> None:
        (stanza,) = blocks("hcl", GUIDE)["Switch it on"]
        self.folder = folder
        self.vault = VaultProcess(folder, more=stanza.replace("/var/lib/coffre", str(folder)))

    def begin(self) -> None:
        """Start, and let it happen."""
        self.vault.start()
        self.vault.initialise()
        self._administrator = self._shell(self.vault.root)
        (policy,) = blocks("hcl", GUIDE)["Who may read it"]
        (self.folder / "security.hcl").write_text(policy)
        self._does(_PREPARE)
        self._does(_HAPPENS)
        self.reader = self._shell(self._does("vaultctl token create -policy=security -field=token"))
        found = json.loads(self._does("vaultctl nhi credentials -format=json"))["credentials"]
        tree = json.loads(self._does(f"vaultctl nhi tree -format=json {found[0]['token_id']}"))
        self._block = str(tree["nodes"][1]["id"])
        (record,) = json.loads(self.reads(_REFUSED))["records"]
        self._place = f"{record['log']}:{record['seq']}"
        self.reads("vaultctl audit prove -o=covered LOG:SEQ")  # a second later

    def reads(self, text: str) -> str:
        """What commands print for the security team, with the names and days of this run in the place of the guide's."""
        today = datetime.now(UTC)
        for day, away in (("2026-11-24", 0), ("2026-11-25", 1)):
            text = text.replace(day, f"{today + timedelta(days=away):%Y-%m-%d}")
        if "LOG:SEQ" in text:
            text = text.replace("LOG:SEQ", self._place)
        if "BLOCK" in text:
            text = text.replace("BLOCK", self._block)
        return run("sh", text, self.folder, self.reader)

    def writes_a_secret_that_is_shown(self) -> bool:
        """Whether a tail shows that a secret was written."""
        self._does("vaultctl kv put secret/tailed a=b")
        return bool((self.folder / "tail.txt").read_text())

    def _shell(self, token: str) -> Mapping[str, str]:
        return environment(self.folder, BAO_ADDR=f"http://127.0.0.1:{self.vault.port}", BAO_TOKEN=token)

    def _does(self, text: str) -> str:
        return run("sh", text, self.folder, self._administrator)


_PREPARE = """
vaultctl policy write security security.hcl
echo 'path "secret/data/payments/*" { capabilities = ["read"] }' | vaultctl policy write payments -
vaultctl kv put secret/payments/db password=correct-horse
vaultctl auth enable userpass
vaultctl write auth/userpass/users/ada password=x token_policies=payments
vaultctl write auth/userpass/users/bob password=x
vaultctl secrets enable nhi
vaultctl write nhi/keys algorithm=ed25519
vaultctl nhi workload write -owner=team-payments -ttl=90d payroll
vaultctl nhi register -policy=payments payroll
vaultctl nhi issue -field=token payroll > whole.biscuit
vaultctl nhi attenuate -token-file=whole.biscuit -op=read,delete -ttl=10m > narrow.biscuit
"""
_HAPPENS = """
login() { vaultctl login -no-store -token-only -method=userpass username=$1 password=x; }
BAO_TOKEN="$(login ada)" vaultctl read secret/data/payments/db
! BAO_TOKEN="$(login bob)" vaultctl read secret/data/payments/db
BAO_TOKEN="$(cat narrow.biscuit)" vaultctl read secret/data/payments/db
! BAO_TOKEN="$(cat narrow.biscuit)" vaultctl delete secret/data/payments/db
"""
_REFUSED = "vaultctl audit query -event=esa.kv.read -outcome=denied -format=json"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        made.begin()
        yield made
    finally:
        made.vault.stop()


def test_each_question_is_one_command_and_the_root_policy_gets_no_answer(site: Site) -> None:
    commands = blocks("sh", GUIDE)["The three questions"]
    outputs = blocks("text", GUIDE)["The three questions"]
    assert len(commands) == len(outputs) == 4
    for command, output in zip(commands, outputs, strict=True):
        assert alike(site.reads(command)) == alike(output), command
    with_root = f"BAO_TOKEN={site.vault.root} vaultctl audit query 2>&1 || echo $?"
    told = site.reads(with_root)  # last, as it is a refusal too
    assert 'a rule that names "sys/log/"' in told and told.endswith("2\n")


def test_the_other_searches_are_taken_as_printed(site: Site) -> None:
    (commands,) = blocks("sh", GUIDE)["Search and watch"]
    printed = [site.reads(line) for line in commands.splitlines()]
    assert "esa.policy.write" in printed[1]
    assert '"$page"' in (site.folder / "records.jsonl").read_text().splitlines()[-1]
    assert re.fullmatch(r"h\d+:[A-Za-z0-9+/]{43}=\n", printed[3])


def test_a_record_is_proven_as_printed(site: Site) -> None:
    (commands,) = blocks("sh", GUIDE)["Receipts and proofs"]
    printed = site.reads(commands)
    assert "good: it is in the log vault.example.eu/log/" in printed


def test_a_copy_is_verified_as_printed_and_one_that_was_changed_is_found_out(site: Site) -> None:
    keep, copy = blocks("sh", GUIDE)["Verify a copy"]
    (output,) = blocks("text", GUIDE)["Verify a copy"]
    site.reads(keep)
    time.sleep(
        1.2
    )  # the server signs each second, so that the copy has more than the checkpoint that was kept
    *_, shown = site.reads(copy).partition("audit verify -key=… copy\n")
    assert alike(shown) == alike(output)
    ((segment,),) = [list(log.glob("*.jsonl")) for log in (site.folder / "copy").iterdir()]
    segment.write_bytes(segment.read_bytes().replace(b'"denied"', b'"failed"', 1))
    changed = site.reads("vaultctl audit verify -key=coffre.vkey -checkpoint=kept.jsonl copy || echo $?")
    assert re.search(r": record \d+: the next one names another hash", changed)
    assert changed.endswith("the log is not as it was written.\n2\n")


def test_it_is_sent_on_as_printed(site: Site) -> None:
    (commands,) = blocks("sh", GUIDE)["Send it on"]
    assert site.reads(commands) == "The log is forwarded nowhere.\n"
    events = (site.folder / "events.jsonl").read_text().splitlines()
    assert {json.loads(event)["metadata"]["version"] for event in events} == {"1.9.0"}
    site.reads(commands)
    assert len((site.folder / "events.jsonl").read_text().splitlines()) < len(events)


def test_a_tail_shows_what_comes_and_ends_without_a_fault(site: Site) -> None:
    words = ["vaultctl", "audit", "tail", "-n=0", "-event=esa.kv.write"]
    with (site.folder / "tail.txt").open("wb") as shown, (site.folder / "tail.err").open("wb") as told:
        tail = subprocess.Popen(words, env=site.reader, cwd=site.folder, stdout=shown, stderr=told)
    try:
        wait_until(site.writes_a_secret_that_is_shown, (site.folder / "tail.err").read_text)
        tail.send_signal(signal.SIGINT)
        assert tail.wait(PATIENCE) == 0
    finally:
        tail.kill()
        tail.wait()
    assert (site.folder / "tail.err").read_text() == ""
    lines = (site.folder / "tail.txt").read_text().splitlines()
    assert {alike(line)[0] for line in lines} == {
        "<time> <record> esa.kv.write success root <accessor> secret/tailed (root)"
    }

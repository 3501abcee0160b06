# SPDX-License-Identifier: EUPL-1.2
"""The log on the page: in a real browser, by keyboard too, and as two tenants see it."""

import json
import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import hvac
import pytest
from pytest_socket import enable_socket

from tests.integration.coffre import Place, open_server
from tests.integration.lineage_estate import Estate
from tests.integration.openid import visit
from tests.integration.page import LOOK, Browser, token_with
from tests.integration.processes import PATIENCE
from vault.log.format.note_key import Verifier
from vault.log.format.proof import check_proof, parse_proof
from vault.log.format.tree import leaf_hash
from vaultctl.main import main as vaultctl

LOG_READER = LOOK + '\npath "sys/log/*" { capabilities = ["read"] }\n'
NAMES = 'path "identity/entity/id/*" { capabilities = ["read"] }\n'
LINEAGE = 'path "+/credentials*" { capabilities = ["read"] }\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that keeps a log and offers the page."""
    enable_socket()
    folder = tmp_path_factory.mktemp("log-page")
    with open_server("coffre", folder, more=f'ui = true\nlog {{ path = "{folder}/log" }}\n') as running:
        client = running.client()
        client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
        client.adapter.close()
        yield running


@pytest.fixture
def browser(place: Place) -> Iterator[Browser]:
    made = Browser(place)
    yield made
    made.session.close()


@pytest.fixture
def reader(root: hvac.Client, name: str) -> str:
    """A token that reads the log, names and credentials."""
    return token_with(root, f"reader-{name}", LOG_READER + NAMES + LINEAGE)


@pytest.fixture
def secret(root: hvac.Client, name: str, place: Place) -> str:
    """A secret that somebody wrote, an entity read, and the same was not let delete; its id in the log."""
    root.sys.enable_auth_method("userpass", path=name)
    root.sys.create_or_update_policy(name, f'path "secret/data/{name}/*" {{ capabilities = ["read"] }}')
    root.auth.userpass.create_or_update_user("ann", "s3cret-of-ann", policies=[name], mount_point=name)
    root.secrets.kv.v2.create_or_update_secret(f"{name}/pin", {"pin": "4711-4711"})
    ann = place.client("")
    ann.auth.userpass.login("ann", "s3cret-of-ann", mount_point=name)
    ann.secrets.kv.v2.read_secret_version(f"{name}/pin", raise_on_deleted_version=True)
    with pytest.raises(hvac.exceptions.Forbidden):
        ann.secrets.kv.v2.delete_latest_version_of_secret(f"{name}/pin")
    ann.adapter.close()
    return f"secret/{name}/pin"


def _found(browser: Browser, count: int, **fields: str) -> str:
    """The page of a search, once it has so many records: the index is a moment behind."""
    deadline = time.monotonic() + PATIENCE
    while True:
        page = browser.get("/ui/log", **fields)
        assert page.status_code == 200, page.text
        if page.text.count("/ui/log/record?") == count:
            return page.text
        assert time.monotonic() < deadline, page.text
        time.sleep(0.1)


def test_chromium_finds_who_read_a_secret_narrows_the_time_and_takes_the_proof_along(
    place: Place, root: hvac.Client, browser: Browser, reader: str, secret: str, tmp_path: Path
) -> None:
    browser.sign_in(reader)
    known = _found(browser, 3, resource=secret)
    bars = [unescape(one) for one in re.findall(r'aria-label="([^"]* to [^"]*: [^"]*)"', known)]
    seen = visit(
        f"{place.address}/ui/",
        {"fill": {"token": reader}, "press": "Sign in"},
        {"go": "/ui/log"},
        {"fill": {"resource": secret, "event": "esa.kv.read"}, "press": "Find"},
        {"go": f"/ui/log?resource={secret}"},
        {"follow": bars[0]},
        {"go": f"/ui/log?resource={secret}&event=esa.kv.read"},
        {"keys": ["→1 success", "Enter"]},
        {"go": re.findall(r'href="(/ui/log/record[^"]*)"', known)[1].replace("&amp;", "&")},
        {"download": "Download the proof"},
        folder=tmp_path,
    )
    searched, _, narrowed = seen.pages[3:6]
    assert "policy and rule, or why not" in searched["text"].lower()
    assert "secret/data/" in searched["text"] and "ann at" in searched["text"]
    assert "since=" in narrowed["url"] and "until=" in narrowed["url"]
    record = seen.pages[-1]
    assert record["title"].startswith("Record ")
    assert "ann at" in record["text"] and "it was done, by the policy and rule" in record["text"]
    assert "Covered: a signed checkpoint" in record["text"]
    assert seen.complaints == []
    (file,) = tmp_path.glob("*.tlog-proof")
    _verify(place, root, file)


def _verify(place: Place, root: hvac.Client, file: Path) -> None:
    """Verify a proof without the server, but for its key."""
    proof = parse_proof(file.read_bytes())
    (segment,) = (place.folder / "log").glob("*/*.jsonl")
    line = segment.read_bytes().splitlines()[proof.index]
    assert proof.extra == line
    assert json.loads(line)["event_name"] == "esa.kv.read"
    token = token_with(root, "status-reader", LOG_READER)
    client = place.client(token)
    status = client.adapter.get("/v1/sys/log/status")["data"]
    client.adapter.close()
    verifier = Verifier.parse(status["key"])
    check_proof(proof, leaf_hash(line), verifier.name, [verifier])
    key = file.with_suffix(".key")
    key.write_text(status["key"])
    assert vaultctl(["audit", "verify", f"-proof={file}", f"-key={key}"]) == 0


def test_chromium_searches_and_opens_a_record_with_the_keyboard_alone(
    place: Place, browser: Browser, reader: str, secret: str, tmp_path: Path
) -> None:
    browser.sign_in(reader)
    _found(browser, 3, resource=secret)
    denied = _found(browser, 1, resource=secret, outcome="denied")
    when = re.findall(r'<a href="/ui/log/record[^"]*"><time[^>]*>([^<]*)<', denied)[0]
    seen = visit(
        f"{place.address}/ui/",
        {"keys": [reader, "Enter"]},
        {"keys": ["→Log", "Enter"]},
        {"keys": ["→resource", secret, "Enter"]},
        {"keys": ["→1 denied", "Enter"]},
        {"keys": [f"→{when}", "Enter"]},
        {"keys": ["→Records of the same resource", "Enter"]},
        folder=tmp_path,
    )
    titles = [page["title"].removesuffix(" · Coffre") for page in seen.pages]
    assert titles[2:4] == ["Log", "Log"]
    assert titles[5].startswith("Record ") and titles[6] == "Log"
    assert "the rule does not grant delete" in seen.pages[4]["text"]
    assert "it was refused: the rule does not grant delete" in seen.pages[5]["text"]
    assert seen.pages[6]["text"].count("esa.kv.") == 3


def test_a_hop_leads_to_what_it_did_and_a_record_leads_back(
    place: Place, root: hvac.Client, name: str, browser: Browser, reader: str
) -> None:
    estate = Estate(root, name)
    estate.add("billing", "team-billing")
    token = estate.issue("billing")
    estate.present(estate.narrowed(token, 'check if operation("read");'))
    browser.sign_in(reader)
    identity = estate.token_id(token)
    tree = browser.get("/ui/credential", mount=name, id=identity).text
    leading = [unescape(one) for one in re.findall(r'href="(/ui/log\?[^"]*)" aria-label="What block', tree)]
    assert len(leading) == 2
    deadline = time.monotonic() + PATIENCE
    while True:
        found = browser.session.get(place.address + leading[1], timeout=PATIENCE).text
        records = re.findall(r'href="(/ui/log/record[^"]*)"', found)
        if records:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert "the workload billing" in found and "a Biscuit" not in found
    page = browser.session.get(place.address + unescape(records[0]), timeout=PATIENCE).text
    assert "the workload billing asked for" in page and ">billing</a>" in page
    back = [unescape(one) for one in re.findall(r'href="(/ui/credential\?[^"#]*)#b-', page)]
    assert len(back) == 2
    shown = browser.session.get(place.address + back[0], timeout=PATIENCE)
    assert (shown.status_code, identity in shown.text) == (200, True)


def test_a_tenant_sees_its_own_records_and_nothing_of_another(
    place: Place, root: hvac.Client, name: str, browser: Browser
) -> None:
    tokens = {}
    for side in ("left", "right"):
        space = f"{name}-{side}"
        root.sys.create_namespace(space)
        inside = hvac.Client(
            url=place.address, token=place.root, verify=str(place.authority), namespace=space
        )
        inside.sys.enable_secrets_engine("kv", path="kv", options={"version": "2"})
        inside.secrets.kv.v2.create_or_update_secret(f"of-{side}", {"pin": "1"}, mount_point="kv")
        tokens[side] = token_with(inside, "reader", LOG_READER)
        inside.adapter.close()
    pages = {}
    for side, other in (("left", "right"), ("right", "left")):
        signed_in = browser.sign_in(tokens[side])  # there are no identities here to be seen
        assert (signed_in.status_code, signed_in.url) == (200, f"{place.address}/ui/log")
        _found(browser, 1, event="esa.kv.write")
        pages[side] = browser.get("/ui/log").text
        asked = browser.get("/ui/log", resource=f"{name}-{other}/*").text
        assert "No record fits." in asked and '"axis"' in asked and "<title>2" not in asked
        for page in (pages[side], browser.get("/ui/log", event="esa.kv.*").text):
            assert f"of-{other}" not in page and f"{name}-{other}" not in page
        assert 'href="/ui/log/status"' not in pages[side]
        refused = browser.get("/ui/log/status")
        assert (refused.status_code, "in the root namespace" in refused.text) == (403, True)
    there = re.findall(r'href="(/ui/log/record[^"]*)"', pages["left"])[0]  # signed in on the right
    for path in (unescape(there), unescape(there).replace("/record?", "/proof?")):
        refused = browser.session.get(place.address + path, timeout=PATIENCE)
        assert (refused.status_code, "There is nothing of this name." in refused.text) == (404, True)


def test_who_may_not_read_the_log_is_told_which_rule_is_missing_and_root_too(
    place: Place, root: hvac.Client, name: str, browser: Browser
) -> None:
    wide = token_with(root, name, 'path "*" { capabilities = ["read", "list", "sudo"] }')
    for token in (wide, place.root):
        browser.sign_in(token)
        for view in ("log", "log/status", "log/record?log=x&seq=1", "log/proof?log=x&seq=1"):
            page = browser.session.get(f"{place.address}/ui/{view}", timeout=PATIENCE)
            assert (page.status_code, "sys/log/*&quot; {" in page.text) == (403, True), view
            assert (page.headers["cache-control"], "4711" in page.text) == ("no-store", False)


def test_no_record_is_shown_to_whoever_has_not_signed_in(browser: Browser) -> None:
    for view in ("log", "log/status", "log/record", "log/proof"):
        page = browser.get(f"/ui/{view}", log="x", seq="1")
        assert (page.status_code, "Sign in to see this." in page.text) == (403, True)


def test_what_people_write_is_text_in_the_log_too(
    root: hvac.Client, name: str, browser: Browser, reader: str
) -> None:
    nasty = f"<script>alert({name!r})</script><img src=x onerror=alert(1)>"
    root.secrets.kv.v2.create_or_update_secret(f"{name}-{nasty.replace('/', '')}", {nasty: nasty})
    browser.sign_in(reader)
    page = _found(browser, 1, resource=f"secret/{name}-*")
    assert not re.search(r"<script|<img", page)
    assert "&lt;script&gt;" in page
    there = unescape(re.findall(r'href="(/ui/log/record[^"]*)"', page)[0])
    record = browser.session.get(browser.place.address + there, timeout=PATIENCE).text
    assert not re.search(r"<script|<img", record)
    assert "&lt;script&gt;" in record
    assert browser.get("/ui/log", since=nasty, until=nasty).status_code == 400
    assert browser.get("/ui/log", cursor=nasty).status_code == 400


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        # each width and each scheme once; the other pairs in the soak
        pytest.param(
            width, dark, marks=() if (width == 390) is dark else pytest.mark.soak, id=f"{width}-{scheme}"
        )
        for width in (1280, 390)
        for dark, scheme in ((False, "light"), (True, "dark"))
    ],
)
def test_chromium_cuts_nothing_off(
    place: Place,
    root: hvac.Client,
    name: str,
    browser: Browser,
    reader: str,
    tmp_path: Path,
    *,
    width: int,
    dark: bool,
) -> None:
    root.secrets.kv.v2.create_or_update_secret(f"{name}/{'long' * 60}", {"a": "b"})
    browser.sign_in(reader)
    page = _found(browser, 1, resource=f"secret/{name}/*")
    record = unescape(re.findall(r'href="(/ui/log/record[^"]*)"', page)[0])
    seen = visit(
        f"{place.address}/ui/",
        {"fill": {"token": reader}, "press": "Sign in"},
        {"go": f"/ui/log?resource=secret/{name}/*"},
        {"go": "/ui/log?policy=x"},
        {"go": record},
        {"go": "/ui/log/status"},
        {"go": "/ui/log?since=x"},
        folder=tmp_path,
        width=width,
        dark=dark,
    )
    assert {one["url"]: one["clipped"] for one in seen.pages if one["clipped"]} == {}

# SPDX-License-Identifier: EUPL-1.2
"""The page for security teams in a real browser: by keyboard, wide and narrow, light and dark; and its numbers."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import hvac
import pytest
from pytest_socket import enable_socket

from tests.integration.coffre import Place, open_server
from tests.integration.lineage_estate import Estate
from tests.integration.openid import visit
from tests.integration.page import READER, Browser, may, token_with
from tests.integration.processes import PATIENCE


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server whose configuration offers the page."""
    enable_socket()
    with open_server("coffre", tmp_path_factory.mktemp("page"), more="ui = true\n") as running:
        yield running


@pytest.fixture
def estate(root: hvac.Client, name: str) -> Estate:
    """An engine of the test's own."""
    made = Estate(root, name)
    made.add("billing", "team-billing", "writes invoices")
    return made


def test_chromium_signs_in_and_revokes_with_the_keyboard_alone(estate: Estate, tmp_path: Path) -> None:
    token = estate.issue("billing")
    estate.present(estate.narrowed(token, 'check if operation("read");'))
    identity = estate.token_id(token)
    root = estate.root.token
    there = f"/ui/credential?mount={estate.mount}&id={identity}"
    seen = visit(
        f"{estate.root.url}/ui/",
        {"keys": [root, "Enter"]},
        {"go": there},
        # past the skip link, eight pages, sign out, the workload, the picture and its two boxes, to the first Revoke…
        {"keys": ["Tab"] * 15 + ["Enter"]},
        # past the skip link, eight pages and sign out to the reason, and on to the button
        {"keys": ["Tab"] * 11 + ["lost", "Tab", "Enter"]},
        folder=tmp_path,
    )
    titles = [page["title"].removesuffix(" · Coffre") for page in seen.pages]
    assert titles[:3] == ["Sign in", "Overview", "Credential of billing"]
    assert titles[3].startswith("Revoke block ")
    assert titles[4] == "Credential of billing"
    assert "Revoked." in seen.pages[4]["text"]
    assert seen.complaints == []
    assert not may(estate, token)


def test_chromium_runs_nothing_that_people_wrote(root: hvac.Client, name: str, tmp_path: Path) -> None:
    nasty = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    estate = Estate(root, name)
    estate.add("billing", nasty, nasty)
    token = estate.issue("billing")
    estate.present(estate.narrowed(token, "check if method({n});", n=nasty))
    seen = visit(
        f"{root.url}/ui/",
        {"fill": {"token": root.token}, "press": "Sign in"},
        {"go": f"/ui/workload?mount={name}&name=billing"},
        {"go": f"/ui/credential?mount={name}&id={estate.token_id(token)}"},
        folder=tmp_path,
        scripts=True,
    )
    assert [page["title"] for page in seen.pages[1:]] == [
        "Overview · Coffre",
        "Workload billing · Coffre",
        "Credential of billing · Coffre",
    ]
    assert "document.title='owned'" in seen.pages[3]["text"]
    assert seen.complaints == []


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        # each width and each scheme once; the other pairs in the soak
        pytest.param(
            width, dark, marks=() if (width == 390) is dark else pytest.mark.soak, id=f"{width}-{name}"
        )
        for width in (1280, 390)
        for dark, name in ((False, "light"), (True, "dark"))
    ],
)
def test_chromium_cuts_nothing_off(
    root: hvac.Client, name: str, tmp_path: Path, width: int, dark: bool
) -> None:
    estate = Estate(root, name)
    estate.add("billing", "team-" + "b" * 120, "writes " + "invoices" * 40, max_depth=4)
    estate.add("a-workload-with-a-name-of-some-length", "team")
    identity = estate.odd("billing")
    block = root.read(f"{name}/credentials/{identity}")["data"]["nodes"][0]["id"]
    views = (
        "overview?",
        "workloads?",
        "workload?name=billing",
        "ending?",
        "credentials?",
        f"credential?id={identity}",
        "anomalies?",
        "secrets?",
        "failures?",
        "keys?profile=anssi",
        f"revoke?id={block}",
        "workload?name=nobody",
        "nothing?",
    )
    seen = visit(
        f"{root.url}/ui/",
        {"fill": {"token": root.token}, "press": "Sign in"},
        *({"go": f"/ui/{view}&mount={name}"} for view in views),
        folder=tmp_path,
        width=width,
        dark=dark,
    )
    assert len({page["title"] for page in seen.pages}) == len(views)
    assert {page["url"]: page["clipped"] for page in seen.pages if page["clipped"]} == {}
    anomalies = next(page["text"] for page in seen.pages if page["title"].startswith("Anomalies"))
    for kind in (
        "used after it was revoked",
        "states what only the issuer may",
        "came from several addresses",
    ):
        assert kind in anomalies


def test_the_overview_has_numbers_of_this_server_and_only_those_that_the_token_may_know(
    place: Place, root: hvac.Client, name: str
) -> None:
    browser = Browser(place)
    estate = Estate(root, name)
    estate.add("billing", "team-billing", max_depth=4)
    estate.odd("billing")
    secret = root.write(f"{name}/registrations/billing/secret")["data"]
    root.write(f"{name}/login", **secret)
    with pytest.raises(hvac.exceptions.Forbidden):
        root.write(f"{name}/login", client_id=secret["client_id"], client_secret="wrong")
    root.write(f"{name}/workloads/billing", owner="team-billing", ttl="13d")
    browser.sign_in(browser.place.root)
    page = browser.get("/ui/overview", mount=name).text
    numbers = re.findall(r'href="([^"]*)"><span class="number">([^<]*)</span> ([^<]*)</a>', page)
    assert [(number, what) for _, number, what in numbers] == [
        ("5", "active credentials"),
        ("1", "credentials never presented"),
        ("5", "new credentials with anomalies"),
        ("5", "credentials with anomalies in all"),
        ("0", "tokens that were not issued here"),
        ("1", "workloads that end within 14 days"),
        ("1", "registrations that log in by client secret"),
        ("1", "failed logins"),
    ]
    for there, number, _ in numbers:
        listed = browser.session.get(browser.place.address + unescape(there), timeout=PATIENCE)
        rows = listed.text.rpartition("<tbody")[2].count("<tr")
        assert (listed.status_code, rows) == (200, int(number) or 5), there
    browser.sign_in(token_with(root, name, READER.format(mount=name)))
    refused = browser.get("/ui/overview", mount=name)
    assert (refused.status_code, refused.text.count("This token may not read")) == (200, 8)
    browser.session.close()


def test_chromium_tells_a_wrong_token_and_an_ended_one(
    estate: Estate, root: hvac.Client, name: str, tmp_path: Path
) -> None:
    short = token_with(root, name, READER.format(mount=estate.mount), ttl="1h", num_uses=3)
    sign_in = {"press": "Sign in"}
    seen = visit(
        f"{root.url}/ui/",
        {"fill": {"token": "s.wrong"}, **sign_in},
        {"fill": {"token": short}, **sign_in},
        {"go": "/ui/workloads"},
        {"go": "/ui/workloads"},
        folder=tmp_path,
    )
    assert "This token is not valid" in seen.pages[1]["text"]
    assert any("Your token has ended" in page["text"] for page in seen.pages[2:])
    assert seen.pages[-1]["title"] == "Sign in · Coffre"
    assert [one for one in seen.complaints if "403" not in one and "404" not in one] == []

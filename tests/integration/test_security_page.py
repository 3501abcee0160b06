# SPDX-License-Identifier: EUPL-1.2
"""The page for security teams, as browsers and strangers meet it: it sees what its token sees, and does no more."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import hvac
import pytest
from pytest_socket import enable_socket

from tests.integration.coffre import Place, open_server
from tests.integration.lineage_estate import Estate
from tests.integration.page import COOKIE, LOOK, READER, Browser, may, token_with
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


@pytest.fixture
def browser(place: Place) -> Iterator[Browser]:
    made = Browser(place)
    yield made
    made.session.close()


def test_a_page_can_run_nothing_be_framed_by_nobody_and_is_kept_nowhere(browser: Browser) -> None:
    page = browser.get("/ui/")
    assert page.status_code == 200
    policy = dict(one.strip().split(" ", 1) for one in page.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert not re.search(r"<script|style=|onload|javascript:", page.text)
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "same-origin")
    sheet = browser.get("/ui/style.css")
    assert sheet.headers["content-type"] == "text/css; charset=utf-8"
    assert not re.search(r"url\(|@import", sheet.text)
    assert browser.get("/ui/vault/secrets").status_code == 404
    assert browser.get("/").url == browser.get("/ui").url == f"{browser.place.address}/ui/"


def test_the_browser_keeps_a_number_and_no_token(browser: Browser, estate: Estate) -> None:
    form = browser.form(browser.get("/ui/"))
    answer = browser.post("/ui/sign-in", None, **form, token=browser.place.root)
    kept = answer.headers["set-cookie"]
    attributes = {part.strip().lower() for part in kept.split(";")[1:]}
    assert attributes == {"httponly", "path=/ui/", "samesite=strict", "secure"}
    assert browser.place.root not in kept
    page = browser.get("/ui/workloads", mount=estate.mount)
    assert "billing" in page.text
    assert browser.place.root not in page.text


@pytest.mark.parametrize("token", ["s.wrong", "", " ", "a b\x00", "x" * 20_000, "b.AAAA", "E" * 300])
def test_a_wrong_token_signs_nobody_in_and_comes_back_in_nothing(browser: Browser, token: str) -> None:
    refused = browser.sign_in(token)
    assert (refused.status_code, COOKIE in browser.session.cookies) == (403, False)
    assert 'class="problem" role="alert"' in refused.text
    assert not token.strip() or token not in refused.text
    assert browser.get("/ui/workloads").status_code == 403


def test_no_view_is_shown_to_whoever_has_not_signed_in(browser: Browser, estate: Estate) -> None:
    views = (
        "overview",
        "workloads",
        "workload",
        "ending",
        "credentials",
        "credential",
        "anomalies",
        "secrets",
        "revoke",
    )
    for view in views:
        page = browser.get(f"/ui/{view}", mount=estate.mount, name="billing", workload="billing")
        assert (page.status_code, "Sign in" in page.text, "billing" in page.text) == (403, True, False)
    assert browser.post("/ui/revoke", mount=estate.mount, workload="billing").status_code == 403
    assert estate.root.read(f"{estate.mount}/workloads/billing")["data"]["disabled"] is False


def test_whose_token_ended_is_signed_out_by_the_next_page(
    browser: Browser, estate: Estate, root: hvac.Client, name: str
) -> None:
    token = token_with(root, name, READER.format(mount=estate.mount))
    assert browser.sign_in(token).status_code == 200
    assert "team-billing" in browser.get("/ui/workloads", mount=estate.mount).text
    root.auth.token.revoke(token)
    page = browser.get("/ui/workloads", mount=estate.mount)
    assert (page.status_code, "has ended, or was revoked" in page.text) == (403, True)
    assert "team-billing" not in page.text
    assert COOKIE not in browser.session.cookies


def test_whoever_signs_out_leaves_a_cookie_that_is_worth_nothing(browser: Browser, estate: Estate) -> None:
    page = browser.sign_in(browser.place.root)
    cookies = browser.session.cookies.get_dict()
    assert browser.post("/ui/sign-out", None, form="wrong").status_code == 403
    assert browser.post("/ui/sign-out", None, **browser.form(page)).status_code == 303
    assert COOKIE not in browser.session.cookies
    browser.session.cookies.update({key: str(value) for key, value in cookies.items()})
    assert browser.get("/ui/workloads", mount=estate.mount).status_code == 403
    assert browser.place.client().lookup_token()["data"]["path"] == "auth/token/root"


def test_the_page_sees_what_its_token_sees(
    browser: Browser, estate: Estate, root: hvac.Client, name: str
) -> None:
    assert browser.sign_in(token_with(root, name, READER.format(mount=estate.mount))).status_code == 200
    assert "team-billing" in browser.get("/ui/workloads", mount=estate.mount).text
    refused = browser.get("/ui/credentials", mount=estate.mount)
    assert refused.status_code == 403
    assert f"This token may not read {estate.mount}/credentials." in refused.text
    for mount in ("sys", "secret", "auth/token", "../sys", "nhi/none"):
        assert browser.get("/ui/workloads", mount=mount).status_code == 404


def test_a_biscuit_signs_in_too_and_the_page_is_as_narrow_as_it_is(browser: Browser, estate: Estate) -> None:
    policy = f'path "{estate.mount}/*" {{ capabilities = ["read", "list", "update"] }}'
    estate.add("team", "team-security")
    estate.root.sys.create_or_update_policy("team-ro", policy + LOOK)
    whole = estate.issue("team")
    assert browser.sign_in(whole).status_code == 200
    asks = {"mount": estate.mount, "workload": "billing"}
    assert browser.get("/ui/revoke", **asks).status_code == 200
    narrow = estate.narrowed(whole, 'check if operation($o), {"read", "list"}.contains($o);')
    assert browser.sign_in(narrow).status_code == 200
    assert "team-billing" in browser.get("/ui/workloads", mount=estate.mount).text
    refused = browser.get("/ui/revoke", **asks)
    assert refused.status_code == 403
    assert f"This token may not update {estate.mount}/revoke/preview." in refused.text
    own = browser.form(refused)["form"]
    assert browser.post("/ui/revoke", None, **asks, form=own).status_code == 403
    assert estate.root.read(f"{estate.mount}/workloads/billing")["data"]["disabled"] is False


def test_a_token_of_a_namespace_sees_that_namespace(
    browser: Browser, estate: Estate, root: hvac.Client, name: str, place: Place
) -> None:
    space = f"ns-{name}"
    root.sys.create_namespace(space)
    inside = hvac.Client(url=place.address, token=place.root, verify=str(place.authority), namespace=space)
    Estate(inside, "within").add("inner", "team-inner")
    token = token_with(inside, name, READER.format(mount="within"))
    assert browser.sign_in(token).status_code == 200
    page = browser.get("/ui/workloads")
    assert ("team-inner" in page.text, f" in {space}" in page.text) == (True, True)
    assert browser.get("/ui/workloads", mount=estate.mount).status_code == 404
    browser.sign_in(place.root)
    assert "team-inner" not in browser.get("/ui/workloads").text
    browser.sign_in(place.root, namespace=space)
    assert "team-inner" in browser.get("/ui/workloads").text
    inside.adapter.close()


def test_a_sealed_vault_signs_everybody_out(tmp_path: Path) -> None:
    with open_server("coffre", tmp_path, more="ui = true\n") as place:
        browser = Browser(place)
        browser.sign_in(place.root)
        client = place.client()
        client.sys.seal()
        page = browser.get("/ui/workloads")
        assert (page.status_code, "The vault is sealed." in page.text) == (503, True)
        assert COOKIE not in browser.session.cookies
        client.adapter.close()
        browser.session.close()


def test_a_token_that_sees_no_engine_is_told_so(browser: Browser, root: hvac.Client, name: str) -> None:
    page = browser.sign_in(token_with(root, name, 'path "secret/*" { capabilities = ["deny"] }'))
    assert (page.status_code, "This token sees no mount" in page.text) == (403, True)
    page = browser.get("/ui/workloads")
    assert (page.status_code, "This token sees no mount" in page.text) == (404, True)


def test_a_form_counts_only_from_a_page_of_the_session(
    browser: Browser, estate: Estate, place: Place
) -> None:
    fields = {"mount": estate.mount, "workload": "billing"}
    browser.sign_in(place.root)
    other = Browser(place)
    stranger = other.form(other.sign_in(place.root))["form"]
    assert browser.post("/ui/revoke", None, **fields).status_code == 403
    assert browser.post("/ui/revoke", None, **fields, form=stranger).status_code == 403
    own = browser.form(browser.get("/ui/workloads"))["form"]
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        assert browser.post("/ui/revoke", headers, **fields, form=own).status_code == 400
        assert browser.post("/ui/sign-in", headers, token=place.root).status_code == 400
    assert browser.post("/ui/revoke", {"Content-Type": "text/plain"}, **fields, form=own).status_code == 400
    assert browser.get("/ui/revoke", **fields, form=own).status_code == 200
    assert estate.root.read(f"{estate.mount}/workloads/billing")["data"]["disabled"] is False
    assert browser.post("/ui/revoke", None, **fields, form=own).status_code == 303
    assert estate.root.read(f"{estate.mount}/workloads/billing")["data"]["disabled"] is True
    other.session.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"Content-Type": "text/plain"},
    ],
    ids=str,
)
def test_no_form_signs_anybody_in_or_out_or_revokes_from_elsewhere(
    browser: Browser, estate: Estate, place: Place, headers: dict[str, str | None]
) -> None:
    sent = {key: str(value) if value else "" for key, value in headers.items()}
    form = browser.form(browser.get("/ui/"))
    assert browser.post("/ui/sign-in", sent, **form, token=place.root).status_code == 400
    assert COOKIE not in browser.session.cookies
    page = browser.sign_in(place.root)
    fields = {**browser.form(page), "mount": estate.mount, "workload": "billing"}
    assert browser.post("/ui/revoke", sent, **fields).status_code == 400
    assert browser.post("/ui/sign-out", sent, **fields).status_code == 400
    assert estate.root.read(f"{estate.mount}/workloads/billing")["data"]["disabled"] is False
    assert browser.get("/ui/workloads", mount=estate.mount).status_code == 200
    here = {"Sec-Fetch-Site": "same-origin", "Origin": ""}
    assert browser.post("/ui/sign-out", here, **fields).status_code == 303


def test_nobody_is_signed_in_by_a_form_that_another_browser_was_given(
    browser: Browser, place: Place, estate: Estate
) -> None:
    del estate  # there are identities to be shown
    other = Browser(place)
    stranger = other.form(other.get("/ui/"))["form"]
    own = browser.form(browser.get("/ui/"))["form"]
    assert own != stranger
    for fields in ({}, {"form": ""}, {"form": stranger}):
        refused = browser.post("/ui/sign-in", None, **fields, token=place.root)
        assert (refused.status_code, COOKIE in browser.session.cookies) == (403, False)
    assert browser.form(browser.get("/ui/"))["form"] == own
    kept = browser.get("/ui/").headers["set-cookie"]
    attributes = {part.strip().lower() for part in kept.split(";")[1:]}
    assert (kept.split("=")[0], attributes) == (
        "__Host-coffre-ui-form",
        {"httponly", "path=/", "samesite=strict", "secure"},
    )
    browser.session.cookies.clear()
    assert browser.post("/ui/sign-in", None, form="", token=place.root).status_code == 403
    browser.session.cookies.set("__Host-coffre-ui-form", "<x>", domain="127.0.0.1", path="/", secure=True)
    assert "<x>" not in browser.get("/ui/").text
    assert browser.sign_in(place.root).status_code == 200
    other.session.close()


def test_a_token_that_ended_takes_all_its_sessions_along(
    browser: Browser, estate: Estate, root: hvac.Client, name: str, place: Place
) -> None:
    token = token_with(root, name, READER.format(mount=estate.mount))
    second = Browser(place)
    assert {one.sign_in(token).status_code for one in (browser, second)} == {200}
    root.auth.token.revoke(token)
    assert "has ended, or was revoked" in browser.get("/ui/workloads", mount=estate.mount).text
    assert "Sign in to see this." in second.get("/ui/workloads", mount=estate.mount).text
    second.session.close()


def test_each_look_is_in_the_audit_log_as_the_request_that_it_is(
    browser: Browser, estate: Estate, root: hvac.Client, name: str, place: Place
) -> None:
    token = token_with(root, name, READER.format(mount=estate.mount), display_name=name)
    browser.sign_in(token)
    browser.get("/ui/workload", mount=estate.mount, name="billing")
    text = (place.folder / "audit.log").read_text()
    records = [json.loads(line) for line in text.splitlines() if name in line]
    own = [
        (one["request"]["path"], bool(one.get("error")))
        for one in records
        if one["type"] == "response" and one["auth"].get("display_name") == f"token-{name}"
    ]
    assert (f"{estate.mount}/workloads/billing", False) in own
    assert (f"{estate.mount}/report", True) in own
    assert token not in text


def test_what_people_write_is_text_on_every_page(browser: Browser, root: hvac.Client, name: str) -> None:
    nasty = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u202e"
    estate = Estate(root, name)
    estate.add("billing", nasty, nasty)
    token = estate.issue("billing")
    estate.present(estate.narrowed(token, "note({n}); check if method({n});", n=nasty))
    browser.sign_in(browser.place.root)
    identity = estate.token_id(token)
    for path, fields in (
        ("overview", {}),
        ("workloads", {}),
        ("workload", {"name": "billing"}),
        ("ending", {}),
        ("credentials", {"workload": nasty}),
        ("credential", {"id": identity}),
        ("credentials", {"since": nasty, "until": nasty}),
        ("anomalies", {"anomaly": nasty}),
        ("secrets", {"used": nasty, "after": nasty}),
        (f"<script>{quote(nasty)}", {}),
        ("workload", {"name": nasty}),
        ("revoke", {"workload": "billing"}),
    ):
        page = browser.get(f"/ui/{path}", mount=name, **fields)
        assert page.status_code in {200, 400, 404}, path
        assert not re.search(r"<script|<img", page.text), path
        assert "\u202e" not in page.text, path
    shown = browser.get("/ui/credential", mount=name, id=identity).text
    assert "&lt;script&gt;" in shown


def test_revoking_ends_what_the_preview_showed_and_spares_the_rest(browser: Browser, estate: Estate) -> None:
    token = estate.issue("billing")
    one = estate.narrowed(token, 'check if operation("read");')
    two = estate.narrowed(token, 'check if resource("secret/data/billing/a");')
    below = estate.narrowed(one, 'check if method("GET");')
    estate.present(below, two)
    identity = estate.token_id(token)
    nodes = estate.root.read(f"{estate.mount}/credentials/{identity}")["data"]["nodes"]
    (block,) = [node["id"] for node in nodes if node["narrowing"] == ["operations: read"]]
    browser.sign_in(browser.place.root)
    preview = browser.get("/ui/revoke", mount=estate.mount, id=block)
    assert "This ends 2 blocks of 1 credential" in preview.text
    assert preview.text.count('<a class="ends"') + preview.text.count('<g class="ends"') == 2
    done = browser.post("/ui/revoke", None, **browser.form(preview), reason="lost laptop")
    assert done.status_code == 303
    page = browser.session.get(f"{browser.place.address}{done.headers['location']}", timeout=PATIENCE)
    assert (page.text.count('<a class="revoked'), "lost laptop" in page.text) == (2, True)
    assert page.text.count("ended with the block that it was made from") == 1
    assert page.text.count(">Revoke…</a>") == 2
    assert may(estate, below) is may(estate, one) is False
    assert may(estate, two) is may(estate, token) is True

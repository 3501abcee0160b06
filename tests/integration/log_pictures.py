# SPDX-License-Identifier: EUPL-1.2
"""The pictures of `docs/audit.md`: `python -m tests.integration.log_pictures` draws them anew, with a server of its own.

`docs/images/log-*.png` are the log on the page, for each of the three questions and for one record: wide and narrow,
light and dark.
"""

import random
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import hvac

from tests.integration.coffre import Place, open_server
from tests.integration.lineage_estate import Estate
from tests.integration.openid import visit
from tests.integration.page import LOOK, Browser, token_with
from tests.integration.pictures import FOLDER, WIDTHS
from tests.integration.small_png import small
from tests.ports import free_port

SECRET = "secret/payments/db"
LASTS = 90
"""Seconds of what is seen; half of it happens in the middle third."""
TALLEST = 1500
"""Pixels of a picture from its top: further rows of a table say nothing new."""
_SETTINGS = """
ui = true
log {{
  path   = "{folder}/log"
  origin = "vault.example.eu/log"
  device "syslog" "siem" {{
    address = "tcp://127.0.0.1:{port}"
  }}
}}
"""
"""Nobody listens where the device is: the status shows one that is away."""
_PAYMENTS = 'path "secret/data/payments/*" { capabilities = ["read"] }'
_READER = f"""{LOOK}
path "sys/log/*" {{ capabilities = ["read"] }}
path "identity/entity/id/*" {{ capabilities = ["read"] }}
path "nhi/*" {{ capabilities = ["read", "list"] }}
"""


def draw(folder: Path) -> None:
    """Draw all pictures."""
    with tempfile.TemporaryDirectory() as home:
        settings = _SETTINGS.format(folder=home, port=free_port())
        with open_server("coffre", Path(home), more=settings) as place:
            root = place.client()
            begins = datetime.now(UTC).replace(microsecond=0)
            block = _day(place, root)
            reader = token_with(root, "security-team", _READER)
            root.adapter.close()
            time.sleep(2)  # a checkpoint, and the index
            times = {"since": _spelled(begins), "until": _spelled(begins + timedelta(seconds=LASTS))}
            for width in WIDTHS:
                for dark in (False, True):
                    scheme = "dark" if dark else "light"
                    seen = _look(
                        place, reader, _views(place, reader, times, block), Path(home), width=width, dark=dark
                    )
                    for name, picture in seen.items():
                        (folder / f"log-{name}-{width}-{scheme}.png").write_bytes(picture)


def _spelled(moment: datetime) -> str:
    return moment.isoformat().removesuffix("+00:00") + "Z"


def _day(place: Place, root: hvac.Client) -> str:
    """Have people and a workload read secrets, and be refused some; return the last block of a credential."""
    root.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    root.sys.enable_auth_method("userpass")
    root.sys.create_or_update_policy("payments", _PAYMENTS)
    for name in ("db", "bank"):
        root.secrets.kv.v2.create_or_update_secret(f"payments/{name}", {"password": "never shown"})
    people = {
        name: _person(place, root, name, policies) for name, policies in (("ada", ["payments"]), ("bob", []))
    }
    estate = Estate(root)
    estate.add("payments", "team-payments")
    narrow = estate.narrowed(estate.issue("payments"), 'check if resource("secret/data/payments/db");')
    job = place.client(narrow)
    chance = random.Random(18)
    started = time.monotonic()
    while (passed := time.monotonic() - started) < LASTS - 8:
        for client in chance.choices(
            [people["ada"], people["bob"], job], weights=(6, 2, 3), k=_many(passed, chance)
        ):
            _act(client, chance)
        time.sleep(chance.uniform(0.3, 1.2))
    for client in (job, *people.values()):
        client.adapter.close()
    token_id = estate.token_id(narrow)
    nodes = root.read(f"nhi/credentials/{token_id}")["data"]["nodes"]
    return str(nodes[-1]["id"])


def _many(passed: float, chance: random.Random) -> int:
    return chance.randint(2, 6) if LASTS / 3 < passed < LASTS * 2 / 3 else chance.randint(0, 2)


def _person(place: Place, root: hvac.Client, name: str, policies: list[str]) -> hvac.Client:
    root.auth.userpass.create_or_update_user(name, f"the secret of {name}", policies=policies)
    client = place.client("")
    client.auth.userpass.login(name, f"the secret of {name}")
    return client


def _act(client: hvac.Client, chance: random.Random) -> None:
    name = chance.choice(["payments/db", "payments/db", "payments/db", "payments/bank"])
    with suppress(hvac.exceptions.Forbidden):
        if chance.random() < 0.08:
            client.secrets.kv.v2.delete_latest_version_of_secret(name)
        else:
            client.secrets.kv.v2.read_secret_version(name, raise_on_deleted_version=True)


def _views(place: Place, reader: str, times: Mapping[str, str], block: str) -> Mapping[str, str]:
    """Return the addresses of what is drawn, by the names of the pictures."""
    browser = Browser(place)
    browser.sign_in(reader)
    denied = browser.get("/ui/log", **times, resource=SECRET, outcome="denied").text
    browser.session.close()
    record = unescape(re.findall(r'href="(/ui/log/record[^"]*)"', denied)[-1])
    searches = {
        "secret": {"resource": SECRET, "event": "esa.kv.read"},
        "block": {"credential": block},
        "denied": {"outcome": "denied"},
    }
    return {
        **{name: f"/ui/log?{urlencode({**wanted, **times})}" for name, wanted in searches.items()},
        "record": record,
        "status": "/ui/log/status",
    }


def _look(
    place: Place, reader: str, views: Mapping[str, str], home: Path, *, width: int, dark: bool
) -> Mapping[str, bytes]:
    visit(
        f"{place.address}/ui/",
        {"fill": {"token": reader}, "press": "Sign in"},
        *({"go": there} for there in views.values()),
        folder=home,
        width=width,
        dark=dark,
        pictures=True,
    )
    return {
        name: small((home / f"{number}.png").read_bytes(), TALLEST) for number, name in enumerate(views, 3)
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    draw(FOLDER)
    sys.stdout.write(
        "".join(f"{one.name}: {one.stat().st_size} bytes\n" for one in sorted(FOLDER.glob("log-*")))
    )

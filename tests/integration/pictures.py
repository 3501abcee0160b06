# SPDX-License-Identifier: EUPL-1.2
"""The pictures of `docs/nhi.md`: `python -m tests.integration.pictures` draws them anew, with a server of its own.

`docs/images/page-*.png` are the page for security teams, wide and narrow, light and dark; `docs/images/nhi-tree.svg` is a
tree of 200 blocks.
"""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import hvac

from tests.cli.servers import dev_server
from tests.house.tree import ROOT
from tests.integration.lineage_estate import TEAMS, Estate
from tests.integration.openid import visit
from tests.integration.small_png import small
from vaultctl.main import main as vaultctl

FOLDER = ROOT / "docs" / "images"
SHAPE = (5, 14, 40, 70, 70)
"""Blocks at each hop; with the one that was issued they are 200."""
WIDTHS = (1280, 390)


def draw(folder: Path) -> None:
    """Draw all pictures."""
    with tempfile.TemporaryDirectory() as home, dev_server("coffre", Path(home)) as server:
        root = hvac.Client(url=server.address, token=server.token)
        estate = Estate(root)
        large, small_one = _grown(estate)
        (folder / "nhi-tree.svg").write_text(_tree(server.address, server.token, large))
        views = {
            "overview": "/ui/overview",
            "anomalies": "/ui/anomalies",
            "credential": f"/ui/credential?mount=nhi&id={small_one}",
            "keys": "/ui/keys?profile=anssi",
        }
        for width in WIDTHS:
            for dark in (False, True):
                visit(
                    f"{server.address}/ui/",
                    {"fill": {"token": server.token}, "press": "Sign in"},
                    *({"go": there} for there in views.values()),
                    folder=Path(home),
                    width=width,
                    dark=dark,
                    pictures=True,
                )
                for number, name in enumerate(views, 3):  # after signing in, and where that leads
                    picture = small((Path(home) / f"{number}.png").read_bytes())
                    (folder / f"page-{name}-{width}-{'dark' if dark else 'light'}.png").write_bytes(picture)
        root.adapter.close()


def _grown(estate: Estate) -> tuple[str, str]:
    """Have workloads narrow tokens and hand them on, some of them wrongly; return a large credential and a small one."""
    root = estate.root
    for name, owner in TEAMS.items():
        estate.add(name, owner, "Writes invoices" if name == "billing" else "")
    large, small_one = estate.grow("billing", SHAPE), estate.grow("checkout", (2, 3, 4))
    for identity in (large, small_one):
        nodes = root.read(f"nhi/credentials/{identity}")["data"]["nodes"]
        lost = next(node for node in nodes if node["index"] == 2)
        root.write("nhi/revoke", id=lost["id"], reason="lost laptop")
    estate.add("returns", "team-shop", max_depth=4)
    estate.odd("returns")
    secret = root.write("nhi/registrations/invoice-mailer/secret")["data"]
    root.write("nhi/login", **secret)
    for client in (secret["client_id"], "nobody"):
        with suppress(hvac.exceptions.Forbidden):
            root.write("nhi/login", client_id=client, client_secret="guessed")
    root.write("nhi/workloads/nightly-export", owner=TEAMS["nightly-export"], ttl="9d")
    return large, small_one


def _tree(address: str, token: str, identity: str) -> str:
    import io
    import os
    from contextlib import redirect_stdout

    os.environ |= {"BAO_ADDR": address, "BAO_TOKEN": token}
    with redirect_stdout(io.StringIO()) as text:
        assert vaultctl(["nhi", "tree", "-format=svg", identity]) == 0
    return text.getvalue()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    draw(FOLDER)
    sys.stdout.write(
        "".join(f"{path.name}: {path.stat().st_size} bytes\n" for path in sorted(FOLDER.iterdir()))
    )

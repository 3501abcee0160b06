# SPDX-License-Identifier: EUPL-1.2
"""The pictures of `docs/nhi.md`: `python -m tests.integration.pictures` draws them anew, with a server of its own.

`docs/images/nhi-page.png` is the page for security teams, `docs/images/nhi-tree.svg` a tree of 200 blocks.
"""

import sys
import tempfile
from pathlib import Path

import hvac

from tests.cli.servers import dev_server
from tests.house.tree import ROOT
from tests.integration.lineage_estate import TEAMS, Estate
from tests.integration.openid import visit
from vaultctl.main import main as vaultctl

FOLDER = ROOT / "docs" / "images"
SHAPE = (5, 14, 40, 70, 70)
"""Blocks at each hop; with the one that was issued they are 200."""


def draw(folder: Path) -> None:
    """Draw both pictures."""
    with tempfile.TemporaryDirectory() as home, dev_server("coffre", Path(home)) as server:
        root = hvac.Client(url=server.address, token=server.token)
        estate = Estate(root)
        for name, owner in TEAMS.items():
            estate.add(name, owner, "Writes invoices" if name == "billing" else "")
        large, small = estate.grow("billing", SHAPE), estate.grow("checkout", (2, 3, 4))
        for identity in (large, small):
            nodes = root.read(f"nhi/credentials/{identity}")["data"]["nodes"]
            lost = next(node for node in nodes if node["index"] == 2)
            root.write("nhi/revoke", id=lost["id"], reason="lost laptop")
        (folder / "nhi-tree.svg").write_text(_tree(server.address, server.token, large))
        visit(
            f"{server.address}/ui/",
            {"fill": {"token": server.token}, "press": "Sign in"},
            {"go": f"/ui/credential?mount=nhi&id={small}"},
            folder=Path(home),
        )
        (folder / "nhi-page.png").write_bytes((Path(home) / "3.png").read_bytes())
        root.adapter.close()


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

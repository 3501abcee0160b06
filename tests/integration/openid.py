# SPDX-License-Identifier: EUPL-1.2
"""A real OpenID provider (npm's oidc-provider), and a headless Chromium that signs in at it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.clients import INSTALLED, run
from tests.integration.processes import PATIENCE
from tests.ports import free_port

_NODE = Path(__file__).parent / "node"
_BROWSER = "chromium-headless-shell"
SECRET = "a secret of some length"
SIGN_IN = {"press": "Sign-in", "fill": {"login": "alice", "password": "any"}}
"""The first of the provider's two pages."""
CONTINUE = {"press": "Continue"}
"""The second one, which asks for consent."""


@dataclass(frozen=True)
class Visit:
    """What a browser came to: the pages, the last one included, and what it complained of."""

    pages: Sequence[Mapping[str, Any]]
    complaints: Sequence[str]


@contextmanager
def provider(*redirect_uris: str, settings: Mapping[str, str] | None = None, **more: Any) -> Iterator[str]:
    """Run a provider whose client `coffre` may be sent to these addresses; yield its issuer.

    `more` are settings of the client, `settings` those of the provider; see `provider.cjs`.
    """
    assert INSTALLED.is_dir(), f"{INSTALLED} is missing: run `make .venv/.clients`"
    port = free_port()
    client = {
        "client_id": "coffre",
        "client_secret": SECRET,
        "redirect_uris": redirect_uris,
        "application_type": "native" if redirect_uris[0].startswith("http://") else "web",
        **more,
    }
    environment = {**_environment(), "PORT": str(port), "CLIENTS": json.dumps([client]), **(settings or {})}
    command = ["node", str(_NODE / "provider.cjs")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as node:
        try:
            assert node.stdout is not None
            assert node.stdout.readline() == b"ready\n"
            yield f"http://127.0.0.1:{port}"
        finally:
            node.terminate()
            node.wait(PATIENCE)


def visit(
    url: str,
    *steps: Mapping[str, Any],
    folder: Path,
    scripts: bool = False,
    width: int = 1280,
    dark: bool = False,
    pictures: bool = False,
) -> Visit:
    """Open a URL in a browser and take the steps; with `pictures` one of each page is left in `folder`."""
    browser = shutil.which(_BROWSER)
    assert browser, f"{_BROWSER} is missing: run `.ci/system-packages test`"
    environment = {
        **_environment(),
        "CHROMIUM": browser,
        "HOME": str(folder),
        "PICTURES": str(folder) if pictures else "",
        "SCRIPTS": "1" if scripts else "0",
        "STEPS": json.dumps(steps),
        "WIDTH": str(width),
        "DARK": "1" if dark else "0",
        "URL": url,
    }
    return Visit(**json.loads(run(["node", str(_NODE / "browser.cjs")], environment, folder)))


def _environment() -> Mapping[str, str]:
    return {**os.environ, "NODE_PATH": str(INSTALLED / "node_modules")}

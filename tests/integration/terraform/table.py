# SPDX-License-Identifier: EUPL-1.2
"""Which kinds of the provider are played, and why others that ask for a path of ours are not."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.house.tree import ROOT
from tests.integration.terraform.readings import READINGS as OTHER_READINGS
from tests.integration.terraform.readings import Reading
from tests.integration.terraform.stories import Story
from tests.integration.terraform.stories_identity import STORIES as IDENTITY
from tests.integration.terraform.stories_roles import STORIES as ROLES
from tests.integration.terraform.stories_secrets import STORIES as SECRETS
from tests.integration.terraform.stories_ssh import READINGS as SSH_READINGS
from tests.integration.terraform.stories_ssh import STORIES as SSH
from tests.integration.terraform.stories_system import STORIES as SYSTEM
from tests.integration.terraform.stories_transit import READINGS as TRANSIT_READINGS
from tests.integration.terraform.stories_transit import STORIES as TRANSIT

Kind = tuple[str, str]
"""``resource``, ``data`` or ``ephemeral``, and a name."""
STORIES: Sequence[Story] = (*SECRETS, *ROLES, *IDENTITY, *SYSTEM, *TRANSIT, *SSH)
READINGS: Sequence[Reading] = (*OTHER_READINGS, *TRANSIT_READINGS, *SSH_READINGS)
PLAYED: frozenset[Kind] = frozenset(
    {("resource", story.resource.name) for story in STORIES}
    | {("ephemeral" if one.ephemeral else "data", one.name) for one in READINGS}
)
_FACTORS = "refused with 400: one-time codes (`vault_identity_mfa_totp`) are the only second factor here"
LEFT: Mapping[Kind, str] = {
    ("resource", "vault_identity_mfa_duo"): _FACTORS,
    ("resource", "vault_identity_mfa_okta"): _FACTORS,
    ("resource", "vault_identity_mfa_pingid"): _FACTORS,
    ("resource", "vault_plugin"): "refused with 400: no programs of others run in the server",
}
_HOLE = re.compile(r"\{[^}]*\}")


def inventory() -> Mapping[Kind, Sequence[str]]:
    """All kinds of the provider, with the paths that each asks for."""
    text = (Path(__file__).parent / "inventory.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {(kind, name): paths for kind, name, *paths in rows}


def ours() -> Sequence[Sequence[str]]:
    """The paths of our routes, in parts; a part that stands for any is empty."""
    text = (ROOT / "api-spec" / "routes.txt").read_text(encoding="utf-8")
    return [
        _parts(line.split()[0].removeprefix("/v1")) for line in text.splitlines() if line.startswith("/v1/")
    ]


def touching() -> Iterator[Kind]:
    """The kinds that ask for a path of ours, where engines are mounted under their own names."""
    routes = ours()
    for kind, paths in inventory().items():
        wanted = [_parts(path.partition("?")[0]) for path in paths if path != "generic"]
        if "generic" in paths or any(_meet(path, route) for path in wanted for route in routes):
            yield kind


def _parts(path: str) -> Sequence[str]:
    return _HOLE.sub("", path).strip("/").split("/")


def _meet(path: Sequence[str], route: Sequence[str]) -> bool:
    """Whether they are one path: a part that stands for any meets each."""
    return len(path) == len(route) and all(
        not left or not right or left == right for left, right in zip(path, route, strict=True)
    )

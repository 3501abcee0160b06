# SPDX-License-Identifier: EUPL-1.2
"""The client configuration file, ~/.bao in HCL or JSON: it names a token helper, and can say nothing else."""

from __future__ import annotations

import os

from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.flags import environment_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SETTING = r'(?:"(\w+)"|(\w+))\s*=\s*"([^"\\\n]*)"'
_BETWEEN = r"(?>\s+|#[^\n]*|//[^\n]*|/\*.*?\*/)*+"
"""White space and comments."""


def token_helper(environ: Mapping[str, str]) -> str:
    """Absolute path of the token helper; empty where none is named. CommandError for a file that says anything else."""
    path = environment_value(environ, "CONFIG_PATH") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".bao"
    )
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        settings = list(_json(text) if text.lstrip().startswith("{") else _hcl(text))
    except FileNotFoundError:
        return ""
    except OSError as err:
        raise CommandError(
            f"cannot read the client configuration {path}: {err.strerror}", EXIT_REMOTE
        ) from None
    except ValueError:
        raise CommandError(
            f'the client configuration {path} is not valid: it takes token_helper = "PATH"; '
            "a file of Ansible Vault may be in its place",
            EXIT_REMOTE,
        ) from None
    for key, _ in settings:
        if key != "token_helper":
            raise CommandError(
                f"the client configuration {path} holds a setting that is not token_helper", EXIT_REMOTE
            )
    helper = settings[-1][1] if settings else ""
    if helper and not os.path.isabs(helper):
        raise CommandError(f"token_helper in {path} must be an absolute path", EXIT_REMOTE)
    return helper


def _hcl(text: str) -> Iterator[tuple[str, str]]:
    """Every setting with its value. ValueError for anything else."""
    import re

    item = re.compile(rf"{_BETWEEN}(?:{_SETTING}|\Z)", re.DOTALL)
    place = 0
    while place < len(text):
        found = item.match(text, place)
        if found is None:
            raise ValueError
        if found[3] is not None:
            yield found[1] or found[2], found[3]
        place = found.end()


def _json(text: str) -> Iterator[tuple[str, str]]:
    """Every setting with its value, null being none. ValueError for anything else."""
    import json

    for key, value in json.loads(text).items():
        if not isinstance(value, str | None):
            raise ValueError(key)  # noqa: TRY004 - whatever is wrong with the file is one thing
        yield key, value or ""

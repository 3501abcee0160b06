# SPDX-License-Identifier: EUPL-1.2
"""The plugins of `sys/external-keys` that this server has."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from typing import Final

from vault.engines.system.external_keys.engine import KeyProvider
from vault.framework.clock import Entropy
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.seals.slots import agents_environment

ALIASES: Final = "BAO_PKCS11_ALIASES"
"""The variable in which the operator names modules: `alias=/path/of/module.so,…`. OpenBao's plugin has it too."""


def external_key_providers(
    entropy: Entropy, config: Config, environment: Mapping[str, str]
) -> Mapping[str, KeyProvider]:
    """Return the plugins by name: `pkcs11` where python-pkcs11 is installed. Raises `StartFailure`.

    `environment` names the modules, and is the agents' own but for what the seals of `config` keep in it.
    """
    modules = aliases(environment.get(ALIASES, ""))
    if importlib.util.find_spec("pkcs11") is None:
        return {}
    from vault.engines.system.external_keys.agents import Agents, starter
    from vault.engines.system.external_keys.pkcs11 import Pkcs11Provider

    provider: type[Pkcs11Provider] = Pkcs11Provider
    if config.telemetry.otlp.endpoint and config.telemetry.otlp.traces:
        from vault.server.otlp.tokens import TracedTokens

        provider = TracedTokens
    shown = agents_environment(config, environment)
    start = starter(shown, now=time.monotonic, chance=lambda: entropy.bytes(1)[0] / 256)
    return {"pkcs11": provider(modules, Agents(start, time.monotonic))}


def aliases(text: str) -> Mapping[str, str]:
    """Read `ALIASES`: paths by alias; the last of two equal aliases counts. Raises `StartFailure`."""
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        alias, _, path = entry.partition("=")
        if not alias or not path.startswith("/"):
            raise StartFailure(f"{ALIASES}: {entry}: must be ALIAS=/PATH/OF/MODULE")
        if "spy" in path.rsplit("/", 1)[-1].lower():
            raise StartFailure(
                f"{ALIASES}: {entry}: a spy module writes the PIN into its log; name the module itself"
            )
        found[alias] = path
    return found

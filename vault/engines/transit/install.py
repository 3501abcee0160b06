# SPDX-License-Identifier: EUPL-1.2
"""What transit brings to a server."""

from __future__ import annotations

from typing import Final

from vault.engines.transit.agreement.routes import AgreementEngine
from vault.engines.transit.certificates.routes import CertificateEngine
from vault.engines.transit.encryption_routes import EncryptionEngine
from vault.engines.transit.export_routes import ExportEngine
from vault.engines.transit.inventory import keys_of
from vault.engines.transit.key_routes import KeyEngine
from vault.engines.transit.keys.devices import Devices
from vault.engines.transit.keys.key_ring import KEY_FACT, KeyRing
from vault.engines.transit.keys.rotation import TIMERS
from vault.engines.transit.moving.backup_routes import BackupEngine
from vault.engines.transit.moving.byok_routes import ByokEngine
from vault.engines.transit.moving.import_routes import ImportEngine
from vault.engines.transit.moving.wrapping_key import WrappingKeys
from vault.engines.transit.settings_routes import SettingsEngine
from vault.engines.transit.signature_routes import SignatureEngine
from vault.engines.transit.usage.uses import Uses
from vault.framework.tools.routes import tool_engine
from vault.install import Installation, Kind, Services

_TOOLS: Final = tool_engine("", events="transit", contained=True, input_required=True)


def install(services: Services) -> Installation:
    """Return the transit engine."""
    ring = KeyRing(services.safe, services.follower)
    devices = Devices(services.external_keys, services.entropy, services.pool)
    uses = Uses(services.barrier, services.log)
    keys = KeyEngine(ring, devices, uses, services.clock, services.entropy, services.pool)
    encryption = EncryptionEngine(ring, devices, uses, services.entropy, services.pool)
    signatures = SignatureEngine(ring, devices, uses, services.pool)
    wrapping = WrappingKeys(services.safe, services.entropy, services.pool)
    coming = ImportEngine(ring, wrapping, services.entropy, services.pool)
    backups = BackupEngine(ring, services.entropy, services.pool)
    tools = _TOOLS(services.entropy, services.pool)
    return Installation(
        kinds=(
            Kind(
                ("transit",),
                (
                    keys,
                    encryption,
                    signatures,
                    ExportEngine(ring),
                    coming,
                    ByokEngine(ring, services.entropy),
                    backups,
                    tools,
                    SettingsEngine(),
                    AgreementEngine(ring, services.entropy),
                    CertificateEngine(ring, devices, services.pool),
                ),
                keys=keys_of,
            ),
        ),
        timers={TIMERS.kind: TIMERS.handler(keys.rotate_when_due)},
        caches={KEY_FACT: ring.drop},
        jobs={"transit-uses": uses.store},
        before_seal=(uses.store,),
        on_seal=(ring.forget, keys.forget, uses.forget),
    )

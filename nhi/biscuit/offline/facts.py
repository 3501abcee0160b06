# SPDX-License-Identifier: EUPL-1.2
"""The facts that a server states of each request, which the checks of a token ask about."""

from __future__ import annotations

from typing import Final

AMBIENT: Final = {
    "time": 1,
    "operation": 1,
    "resource": 1,
    "namespace_req": 1,
    "method": 1,
    "audience_srv": 1,
    "client_ip4": 1,
    "client_nets": 1,
    "body_sha256": 1,
    "pop_proved": 2,
}
"""How many facts the server states of a request, by name."""
NETS: Final = "client_nets"

# SPDX-License-Identifier: EUPL-1.2
"""Running the server: `vaultctl operator`, keys and root tokens by consent, seal slots, backups."""

# SPDX-License-Identifier: EUPL-1.2
"""vaultctl audit: audit devices, and the log."""

# SPDX-License-Identifier: EUPL-1.2
"""Log-ins to machines: `vaultctl ssh`."""

# SPDX-License-Identifier: EUPL-1.2
"""Key-value secrets: `vaultctl kv`."""

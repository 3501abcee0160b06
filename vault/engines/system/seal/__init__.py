# SPDX-License-Identifier: EUPL-1.2
"""Keys of the vault: init, unseal, seal, slots, rotation, new root tokens. These modules use `vault.seal`."""

# SPDX-License-Identifier: EUPL-1.2
"""Which engine answers where, and what user interfaces look up of it. These modules use `vault.mount`."""

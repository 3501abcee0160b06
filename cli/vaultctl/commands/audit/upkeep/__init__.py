# SPDX-License-Identifier: EUPL-1.2
"""vaultctl audit status, devices, purge and holds: how the log is, and what of it is kept."""

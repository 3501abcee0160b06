# SPDX-License-Identifier: EUPL-1.2
"""Identities: entities, the names that authorities know them by, and the groups that they are in."""

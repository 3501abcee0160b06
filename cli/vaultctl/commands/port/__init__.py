# SPDX-License-Identifier: EUPL-1.2
"""port: out of one vault and into another, by archive or directly, and whether both are equal."""

# SPDX-License-Identifier: EUPL-1.2
"""Keys that two sides agree on: each has its own half, and nobody sends the key."""

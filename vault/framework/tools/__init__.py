# SPDX-License-Identifier: EUPL-1.2
"""Random bytes and hashes, for clients without sources of their own: what `sys/tools` and transit have in common."""

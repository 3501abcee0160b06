# SPDX-License-Identifier: EUPL-1.2
"""What the holder of a Biscuit does with it offline: look at it, narrow it, close it. No server is asked."""

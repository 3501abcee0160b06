# SPDX-License-Identifier: EUPL-1.2
"""auth/token: making, seeing, renewing and revoking tokens."""

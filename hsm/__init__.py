# SPDX-License-Identifier: EUPL-1.2
"""Hardware security modules through PKCS#11. A leaf: it knows nothing of vaults and imports nothing of ours."""

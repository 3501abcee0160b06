# SPDX-License-Identifier: EUPL-1.2
"""Hardware security modules through PKCS#11. A leaf: it knows nothing of vaults and imports nothing of ours.

A vendor's module may crash or hang the process that loads it. So `hsm.agent` runs in a process of its own, `hsm.client`
asks it, and neither imports the other. What both speak lies beside them; `hsm.ceremony` needs neither.
"""

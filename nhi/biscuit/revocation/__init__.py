# SPDX-License-Identifier: EUPL-1.2
"""What ends with a mount, a workload, a key or a block, in one transaction or by timers."""

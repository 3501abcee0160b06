# SPDX-License-Identifier: EUPL-1.2
"""Non-human identity: who a workload is, how it proves it, and what becomes of its credentials."""

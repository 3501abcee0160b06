# SPDX-License-Identifier: EUPL-1.2
"""Keys in HSMs that engines use by reference. Of `sys/` only these modules start agents of `hsm`."""

# SPDX-License-Identifier: EUPL-1.2
"""What operators run on the machine without a server: diagnosis, preflight, backup and restore."""

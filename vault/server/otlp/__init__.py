# SPDX-License-Identifier: EUPL-1.2
"""What a collector is sent: traces, metrics and log lines. Nothing here is loaded, or costs a request anything, without one."""

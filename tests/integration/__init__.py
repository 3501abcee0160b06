# SPDX-License-Identifier: EUPL-1.2
"""The server as a process, beside real peers."""

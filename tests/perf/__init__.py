# SPDX-License-Identifier: EUPL-1.2
"""Measurements against OpenBao on the same machine: `make bench`."""

# SPDX-License-Identifier: EUPL-1.2
"""Tests of vaultctl as a whole process, against servers started on loopback."""

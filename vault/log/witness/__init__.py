# SPDX-License-Identifier: EUPL-1.2
"""Witnesses, who see that a log only grows: how a log asks them (C2SP tlog-witness), and one that others can run."""

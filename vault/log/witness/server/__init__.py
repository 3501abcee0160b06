# SPDX-License-Identifier: EUPL-1.2
"""A small witness: what it has seen of each log, what it signs, and how it is asked. It needs nothing of a vault."""

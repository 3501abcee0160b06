# SPDX-License-Identifier: EUPL-1.2
"""Several workers behind the same listeners: who starts them, and what they are to each other."""

# SPDX-License-Identifier: EUPL-1.2
"""Key-value secrets: of version 1, and of version 2 with all their versions, states and settings."""

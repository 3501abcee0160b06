# SPDX-License-Identifier: EUPL-1.2
"""Keys: public ones as they travel, pairs that are made here, and the authorities of a mount."""

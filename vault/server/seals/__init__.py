# SPDX-License-Identifier: EUPL-1.2
"""Key slots as configured, watched and measured, from the side that asks them."""

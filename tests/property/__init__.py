# SPDX-License-Identifier: EUPL-1.2
"""Properties checked over many random cases."""

# SPDX-License-Identifier: EUPL-1.2
"""Keys that come from elsewhere or go there: wrapped for their way, or whole in the form of OpenBao's backups."""

# SPDX-License-Identifier: EUPL-1.2
"""One module for each view. A view asks `/v1/` for what it shows, and makes HTML of the answers."""

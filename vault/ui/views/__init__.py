# SPDX-License-Identifier: EUPL-1.2
"""One module for each view: it asks for what it shows, and makes HTML of the answers."""

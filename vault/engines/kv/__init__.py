# SPDX-License-Identifier: EUPL-1.2
"""Key-value secrets: version 2 keeps versions and metadata, version 1 keeps one value per path."""

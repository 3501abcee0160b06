# SPDX-License-Identifier: EUPL-1.2
"""What the routes of an SSH mount take and answer."""

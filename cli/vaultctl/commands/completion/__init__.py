# SPDX-License-Identifier: EUPL-1.2
"""Shell completion: the scripts, and what they ask for while a line is typed."""

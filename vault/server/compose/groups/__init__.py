# SPDX-License-Identifier: EUPL-1.2
"""What a vault consists of, in groups that belong together: each made by one function, of the groups below it."""

# SPDX-License-Identifier: EUPL-1.2
"""The tests; none of this is shipped."""

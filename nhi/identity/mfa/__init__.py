# SPDX-License-Identifier: EUPL-1.2
"""Second factors at logins: which methods there are, who must use them, and whether they did."""

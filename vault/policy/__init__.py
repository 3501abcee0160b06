# SPDX-License-Identifier: EUPL-1.2
"""ACL policies: parse, compile, decide."""

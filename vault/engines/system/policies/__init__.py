# SPDX-License-Identifier: EUPL-1.2
"""ACL policies, password policies, and what they let a token do. These modules use `vault.policy`."""

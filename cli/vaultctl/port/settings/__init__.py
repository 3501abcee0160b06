# SPDX-License-Identifier: EUPL-1.2
"""Everything beside secrets: namespaces, mounts, policies, roles, identities, quotas."""

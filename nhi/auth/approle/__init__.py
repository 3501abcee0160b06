# SPDX-License-Identifier: EUPL-1.2
"""AppRole: a workload logs in with a role id and a secret id."""

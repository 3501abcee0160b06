# SPDX-License-Identifier: EUPL-1.2
"""The rows of an `nhi` mount.

Issuer keys, workloads, registrations, issued tokens, chains that were presented, revocations.
"""

# SPDX-License-Identifier: EUPL-1.2
"""Auth methods: how workloads and people prove who they are. None knows another."""

# SPDX-License-Identifier: EUPL-1.2
"""Roles: who may have which certificate, or which one-time password."""

# SPDX-License-Identifier: EUPL-1.2
"""Backup and restore: whole files, beside a server that runs or in the place of one that does not."""

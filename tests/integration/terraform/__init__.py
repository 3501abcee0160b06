# SPDX-License-Identifier: EUPL-1.2
"""A model of the Terraform provider for Vault, which OpenTofu uses too: which requests it sends, and what it makes of the answers."""

# SPDX-License-Identifier: EUPL-1.2
"""The rows of `identity/`: entities, groups and their names; second factors; signing keys; clients of the provider."""

# SPDX-License-Identifier: EUPL-1.2
"""Logins of Kubernetes service accounts: their cluster's API server says whether a token is good."""

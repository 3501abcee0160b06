# SPDX-License-Identifier: EUPL-1.2
"""SSH: certificates for people and machines, signed by authorities of a mount, and one-time passwords for log-ins."""

# SPDX-License-Identifier: EUPL-1.2
"""The audit log: records, HMAC, devices."""

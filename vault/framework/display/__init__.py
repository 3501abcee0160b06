# SPDX-License-Identifier: EUPL-1.2
"""What people see or scan: pages without script, barcodes, otpauth URLs."""

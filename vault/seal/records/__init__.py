# SPDX-License-Identifier: EUPL-1.2
"""What is stored of the seal, and what opens it: records, the key slots that wrap them, seal-wrapped values."""

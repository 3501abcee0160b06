# SPDX-License-Identifier: EUPL-1.2
"""Side-by-side conformance: the same requests against OpenBao and against a subject, answers compared."""

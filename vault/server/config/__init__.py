# SPDX-License-Identifier: EUPL-1.2
"""What operators configure: files, flags and stanzas in, one checked and frozen `Config` out. Touches files, never a network."""

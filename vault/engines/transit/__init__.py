# SPDX-License-Identifier: EUPL-1.2
"""Transit: encryption as a service. Keys stay here; callers send data, and get ciphertext, signatures and MACs."""

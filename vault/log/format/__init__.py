# SPDX-License-Identifier: EUPL-1.2
"""The bytes of the log: hash tree, tiles, signed checkpoints, proofs, segments, and their verification.

Nothing here knows a server, a key or the time: a copied log folder is read and judged with this alone.
"""

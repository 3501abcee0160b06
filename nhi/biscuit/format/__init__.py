# SPDX-License-Identifier: EUPL-1.2
"""The bytes of a token and what they say: read and written strictly, and printed as Datalog.

Nothing here knows storage, a key of ours, or the library that evaluates.
"""

# SPDX-License-Identifier: EUPL-1.2
"""Identity tokens: who an entity is, signed, for systems that are not ours."""

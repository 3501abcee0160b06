# SPDX-License-Identifier: EUPL-1.2
"""OpenID Connect provider: other systems sign people in with the entities that they have here."""

# SPDX-License-Identifier: EUPL-1.2
"""The paths of entities, groups and aliases below `identity/`."""

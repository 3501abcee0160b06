# SPDX-License-Identifier: EUPL-1.2
"""The paths of an `nhi` mount and of its logins below `auth/`.

A route has parameters, an answer, and one call to the room that does the work.
"""

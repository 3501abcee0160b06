# SPDX-License-Identifier: EUPL-1.2
"""The archive that an export is: parts that are encrypted, and a signed manifest (`api-spec/port/archive.md`)."""

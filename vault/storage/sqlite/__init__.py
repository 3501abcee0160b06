# SPDX-License-Identifier: EUPL-1.2
"""The storage in one SQLite file. SQL is written here and in `copies` alone."""

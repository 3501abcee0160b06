# SPDX-License-Identifier: EUPL-1.2
"""Exports as a whole: of the records that every route leaves, judged by what the standards ask for."""

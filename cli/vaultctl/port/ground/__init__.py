# SPDX-License-Identifier: EUPL-1.2
"""What all of a move stands on: servers, entries and their one spelling, the journal, the report."""

# SPDX-License-Identifier: EUPL-1.2
"""The command tree: one declaration per command drives parsing, help and completion. It touches neither server nor files."""

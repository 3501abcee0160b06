# SPDX-License-Identifier: EUPL-1.2
"""The commands' functions, one module per family, imported when their command runs."""

# SPDX-License-Identifier: EUPL-1.2
"""What pages are made of: elements, the layout of every page, tables, forms, pages of refusals."""

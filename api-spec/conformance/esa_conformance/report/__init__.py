# SPDX-License-Identifier: Apache-2.0
"""Reports: one JSON document, and what is made of it."""

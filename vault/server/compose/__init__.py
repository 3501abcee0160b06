# SPDX-License-Identifier: EUPL-1.2
"""Composition: the only room that knows every concrete class."""

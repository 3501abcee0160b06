# SPDX-License-Identifier: EUPL-1.2
"""The engines of `sys/`, in rooms by what they may touch. One class of routes for each group of paths."""

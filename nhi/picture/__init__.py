# SPDX-License-Identifier: EUPL-1.2
"""Attenuation trees as pictures: text, DOT, SVG. Pure functions of the standard library; the command line has them too."""

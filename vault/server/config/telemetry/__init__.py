# SPDX-License-Identifier: EUPL-1.2
"""What goes to a collector, as operators write it."""

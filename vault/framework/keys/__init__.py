# SPDX-License-Identifier: EUPL-1.2
"""Long-lived keys: in the safe, versioned, in a device, or for a keyed hash. These modules may use barrier and seal."""

# SPDX-License-Identifier: EUPL-1.2
"""Keys of long standing: in the safe, versioned, in a device, or for a keyed hash. It may use barrier and seal."""

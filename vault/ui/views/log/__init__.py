# SPDX-License-Identifier: EUPL-1.2
"""The log on pages, for who may read it: searched, as a picture of its time, one record with its proof, its status."""

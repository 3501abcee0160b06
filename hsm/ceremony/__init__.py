# SPDX-License-Identifier: EUPL-1.2
"""Key ceremonies: the signed record, and what is checked of it. It touches neither token nor process."""

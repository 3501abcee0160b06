# SPDX-License-Identifier: EUPL-1.2
"""Values in and out as text: JSON, YAML, HCL, Go's forms, tables. It touches neither server nor files."""

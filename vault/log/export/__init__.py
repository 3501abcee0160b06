# SPDX-License-Identifier: EUPL-1.2
"""Records in the forms that other systems read: OTLP, OCSF and ECS. Pure, and nothing of a record is lost."""

# SPDX-License-Identifier: EUPL-1.2
"""What is done to the slots of an open vault: each change is one transaction, and leaves a slot that opens it."""

# SPDX-License-Identifier: EUPL-1.2
"""What each command of the command line does. Each module is imported when its command is run."""

# SPDX-License-Identifier: EUPL-1.2
"""`sys/log`: the log is read, searched and proven here, by whom a policy names it to."""

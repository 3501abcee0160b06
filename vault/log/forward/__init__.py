# SPDX-License-Identifier: EUPL-1.2
"""Devices that the log is sent to: each has a thread in the log reader's process, and reads the segments itself.

What a device has not taken stays in the segments, so its queue is a position in each log. One that was away for a week
gets every record in order when it is back.
"""

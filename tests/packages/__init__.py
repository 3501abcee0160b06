# SPDX-License-Identifier: EUPL-1.2
"""What is installed from: wheels, the Debian package, the image, the chart."""

# SPDX-License-Identifier: AGPL-3.0-or-later
"""What Orthanc loads, and the only file here that needs it: set "PythonScript" to this path."""

import orthanc
from cbir_start import start

start(orthanc)

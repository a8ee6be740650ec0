# SPDX-License-Identifier: AGPL-3.0-or-later
"""What Orthanc loads, and the only file here that needs it: set "PythonScript" to this path."""

import ctypes

import orthanc
from cbir_start import start

# Python plugin 7.1 lets go of the callbacks after Python has ended, and Orthanc with it dies of a
# segmentation fault instead of stopping. One reference more than there are holders keeps them.
for callback in start(orthanc):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(callback))

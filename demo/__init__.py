"""The whole walk on one machine, for a newcomer: a real Orthanc, real DICOM, one question."""

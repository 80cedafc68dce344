"""DICOM in and out: which series is which sequence, series -> volume, case -> study, segmentation objects."""

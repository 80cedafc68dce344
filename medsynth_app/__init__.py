"""MedSynth: brain-tumour segmentation, medical image synthesis and symptom cross-check.

A plain library: it knows images, models and medicine, not MONAI Label. The server application that
puts it behind MONAI Label's REST protocol is ``apps/medsynth``. Research and education only.
"""

__version__ = "0.1.0"

"""The course of a skin lesion, nevus to melanoma: a visual simulation without longitudinal truth."""

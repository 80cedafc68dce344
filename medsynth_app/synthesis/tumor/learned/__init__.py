"""Images of a labelled tumour case whose contrast and texture were learned from real cases."""

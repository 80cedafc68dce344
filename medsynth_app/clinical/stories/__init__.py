"""A patient's story, clause by clause: symptoms, sides, denials, what to ask back."""

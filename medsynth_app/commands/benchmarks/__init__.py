"""What measures MedSynth's claims; nothing here is needed to serve."""

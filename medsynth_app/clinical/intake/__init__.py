"""The form of one patient: answers, onset, red flags."""

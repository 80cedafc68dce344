"""Which files are a case, and what it is called."""

"""Whether a site explains the symptoms: evidence, likelihood, verdict."""

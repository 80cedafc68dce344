"""A stored cross-check as PDF, HTML, FHIR."""

"""Random fields, smooth deformations and the template brain that phantoms and tumours stand on."""

"""What the clinic knows: symptoms, sides, lesions of the library."""

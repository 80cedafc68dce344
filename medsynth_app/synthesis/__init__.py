"""Images that do not exist: labelled tumour cases, and 2-D and 3-D images of several kinds."""

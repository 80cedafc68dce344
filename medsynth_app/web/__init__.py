"""The page at ``/medsynth/``: plain HTML, CSS and JavaScript modules, served by ``api/routes/page.py``."""

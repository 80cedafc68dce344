"""The report as one HTML file: style and pictures inside, nothing to load, prints with the notice on every page."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from medsynth_app.clinical.report.content import Heading, Paragraph, Picture, ReportContent, Table

TEMPLATES = Path(__file__).parent / "templates"


def render_html(content: ReportContent) -> str:
    """A whole HTML document.

    Args:
        content: from `report_content`.
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["base64"] = lambda png: base64.b64encode(png).decode()
    environment.tests |= {
        "heading": lambda block: isinstance(block, Heading),
        "paragraph": lambda block: isinstance(block, Paragraph),
        "table": lambda block: isinstance(block, Table),
        "picture": lambda block: isinstance(block, Picture),
    }
    return environment.get_template("report.html").render(report=content)

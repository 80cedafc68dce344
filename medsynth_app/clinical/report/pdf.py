"""The report as PDF, A4, with the research notice at the foot of every page."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image as PillowImage
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, Image, KeepTogether, PageTemplate, TableStyle
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import Table as Grid

from medsynth_app.clinical.report.content import (
    Block,
    Heading,
    Paragraph,
    Picture,
    ReportContent,
    Table,
    Tone,
)
from medsynth_app.clinical.report.fonts import report_fonts

MARGIN = 16 * mm
FOOT = 20 * mm
TALLEST_PICTURE = 118 * mm
_INK, _QUIET, _LINE, _ACCENT, _URGENT, _DOUBT = (
    colors.HexColor(code) for code in ("#1b2430", "#5b6775", "#d5dbe2", "#1f5a99", "#b2382f", "#fff6df")
)
_VERDICT_COLORS = {"concordant": "#2f7d4f", "partly_supported": "#8f6c12", "discordant": "#b2382f"}


def render_pdf(content: ReportContent) -> bytes:
    """A PDF file.

    Args:
        content: from `report_content`.
    """
    buffer = io.BytesIO()
    document = BaseDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=FOOT + 4 * mm,
        title=content.title,
        author="MedSynth",
        subject=content.notice,
        lang=content.language,
    )
    frame = Frame(MARGIN, FOOT + 4 * mm, document.width, document.height, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate(frames=[frame], onPage=_foot_of(content)))
    document.build(_story(content, document.width))
    return buffer.getvalue()


def _foot_of(content: ReportContent) -> Callable[[Canvas, BaseDocTemplate], None]:
    def draw(canvas: Canvas, document: BaseDocTemplate) -> None:
        canvas.saveState()
        canvas.setStrokeColor(_INK)
        canvas.line(MARGIN, FOOT, A4[0] - MARGIN, FOOT)
        y = FOOT - 2 * mm
        place = f"{content.identifier}   {content.page_word} {document.page}"
        for line, bold in ((content.notice, True), (place, False)):
            text = _text(line, 7.5, bold=bold)
            _, height = text.wrap(A4[0] - 2 * MARGIN, FOOT)
            y -= height
            text.drawOn(canvas, MARGIN, y)
        canvas.restoreState()

    return draw


def _story(content: ReportContent, width: float) -> list[Flowable]:
    color = colors.HexColor(_VERDICT_COLORS.get(content.concordance, "#5b6775"))
    story = [
        _text(content.title, 16, bold=True, after=4),
        _facts(content, width),
        _boxed(_text(content.verdict, 14, bold=True, color=colors.white), color, width),
    ]
    for section in _sections(content.blocks):
        parts = [_flowables(block, width) for block in section]
        # a heading never stands alone at the foot of a page, nor a picture without its caption
        story.append(KeepTogether([flowable for part in parts[:2] for flowable in part]))
        story += [KeepTogether(part) for part in parts[2:]]
    return story


def _sections(blocks: tuple[Block, ...]) -> list[list[Block]]:
    """Blocks in groups that start with a heading."""
    sections: list[list[Block]] = []
    for block in blocks:
        if isinstance(block, Heading) or not sections:
            sections.append([])
        sections[-1].append(block)
    return sections


def _facts(content: ReportContent, width: float) -> Flowable:
    markup = report_fonts().markup
    cells = [
        Text(f'<font color="#5b6775">{markup(name)}</font> &nbsp; {markup(value)}', _style(9))
        for name, value in content.facts
    ]
    rows = [(cells[start : start + 3] + ["", ""])[:3] for start in range(0, len(cells), 3)]
    grid = Grid(rows, [width / 3] * 3, spaceAfter=6)
    grid.setStyle(TableStyle([("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE), ("LEFTPADDING", (0, 0), (-1, -1), 0)]))
    return grid


def _flowables(block: Block, width: float) -> list[Flowable]:
    if isinstance(block, Heading):
        return [_text(block.text, 11, bold=True, color=_ACCENT, before=9, after=3)]
    if isinstance(block, Paragraph):
        return [_paragraph(block, width)]
    if isinstance(block, Table):
        return [_grid(block, width)]
    return _picture(block, width)


def _paragraph(block: Paragraph, width: float) -> Flowable:
    if block.tone is Tone.URGENT:
        return _boxed(_text(block.text, 13, bold=True, color=colors.white), _URGENT, width)
    if block.tone is Tone.WARNING:
        return _boxed(_text(block.text, 9.5), _DOUBT, width)
    if block.tone is Tone.SMALL:
        return _text(block.text, 8, color=_QUIET, after=2)
    return _text(block.text, 9.5, after=2)


def _boxed(text: Flowable, color: colors.Color, width: float) -> Flowable:
    grid = Grid([[text]], [width], spaceAfter=3)
    grid.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), color),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
            ]
        )
    )
    return grid


def _grid(block: Table, width: float) -> Flowable:
    named = any(block.columns)
    rows = [[_text(name, 8.5, color=_QUIET) for name in block.columns]] if named else []
    rows += [[_text(cell, 9) for cell in row] for row in block.rows]
    total = sum(block.widths)
    grid = Grid(
        rows or [[""] * len(block.widths)], [width * part / total for part in block.widths], repeatRows=int(named)
    )
    grid.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
                ("TOPPADDING", (0, 0), (-1, -1), 1.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ]
        )
    )
    return grid


def _picture(block: Picture, width: float) -> list[Flowable]:
    image = Image(_as_jpeg(block.png))
    scale = min(width / image.imageWidth, TALLEST_PICTURE / image.imageHeight)
    image.drawWidth, image.drawHeight = image.imageWidth * scale, image.imageHeight * scale
    image.hAlign = "LEFT"
    return [image, _text(block.caption, 8, color=_QUIET, after=4)]


def _as_jpeg(png: bytes) -> io.BytesIO:
    """JPEG goes into a PDF as it is: a quarter of the size, and no second compression."""
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(png)).convert("RGB").save(buffer, "JPEG", quality=88)
    buffer.seek(0)
    return buffer


def _text(
    text: str, size: float, *, bold: bool = False, color: colors.Color = _INK, before: float = 0, after: float = 0
) -> Text:
    return Text(report_fonts().markup(text, bold=bold), _style(size, bold, color, before, after))


def _style(
    size: float, bold: bool = False, color: colors.Color = _INK, before: float = 0, after: float = 0
) -> ParagraphStyle:
    fonts = report_fonts()
    return ParagraphStyle(
        "text",
        fontName=fonts.latin_bold if bold else fonts.latin,
        fontSize=size,
        leading=size * 1.35,
        textColor=color,
        spaceBefore=before,
        spaceAfter=after,
    )

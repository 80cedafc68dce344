"""Fonts of the PDF report: a Korean one is put into the file where one is installed, so that it reads anywhere.

NanumGothic from the package ``koreanize-matplotlib`` (only its font files are used) is embedded, as a subset of
the letters in use. The package is MIT and holds no licence of the font; the font's own flags (OS/2 fsType 8) allow
embedding in documents, and Debian's ``fonts-nanum`` carries the same family under the SIL Open Font License 1.1.
Without it Korean is set in Adobe's CID font HYGothic, which a viewer must bring itself.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

_PACKAGE = "koreanize_matplotlib"
_FILES = {"NanumGothic": "fonts/NanumGothic.ttf", "NanumGothic-Bold": "fonts/NanumGothicBold.ttf"}
_HANGUL = "\u1100-\u11ff\u3000-\u9fff\uac00-\ud7af\uff00-\uffef\u00b7"
_KOREAN_RUN = re.compile(f"[{_HANGUL}]+(?:[ ]+[{_HANGUL}]+)*")


@dataclass(frozen=True)
class Fonts:
    """Names of registered fonts.

    Attributes:
        latin: for English.
        latin_bold: for English headings.
        korean: for Korean.
        korean_bold: for Korean headings.
        embedded: whether the Korean letters travel with the file.
    """

    latin: str
    latin_bold: str
    korean: str
    korean_bold: str
    embedded: bool

    def markup(self, text: str, *, bold: bool = False) -> str:
        """A text for the typesetter: its own signs escaped, Korean runs in the Korean font."""
        # the CID font lacks the middle dot that Korean uses between words
        shown = escape(text if self.embedded else text.replace("\u00b7", ", "))
        font = self.korean_bold if bold else self.korean
        return _KOREAN_RUN.sub(lambda run: f'<font name="{font}">{run.group()}</font>', shown)


@lru_cache(maxsize=1)
def report_fonts() -> Fonts:
    """Register the fonts once and tell their names."""
    folder = _package_folder()
    if folder is None:
        pdfmetrics.registerFont(UnicodeCIDFont("HYGothic-Medium"))
        return Fonts("Helvetica", "Helvetica-Bold", "HYGothic-Medium", "HYGothic-Medium", False)
    for name, file in _FILES.items():
        pdfmetrics.registerFont(TTFont(name, str(folder / file)))
    korean, korean_bold = _FILES
    return Fonts("Helvetica", "Helvetica-Bold", korean, korean_bold, True)


def _package_folder() -> Path | None:
    """Where the package's files are, without importing it: that would change matplotlib's settings."""
    found = importlib.util.find_spec(_PACKAGE)
    for root in (found.submodule_search_locations or []) if found else []:
        if all((Path(root) / file).is_file() for file in _FILES.values()):
            return Path(root)
    return None

"""A photograph as a viewer shows it: turned as its camera noted, on white where it is transparent."""

from __future__ import annotations

from PIL import Image, ImageOps

FLATTENED_NOTE = "image: is transparent in places, which were made white"


def upright(picture: Image.Image) -> Image.Image:
    """The picture turned or mirrored as its EXIF orientation says; itself where there is nothing to do.

    Args:
        picture: as Pillow opened it. Its ``size`` is the stored one, the result's the one that is seen.
    """
    return ImageOps.exif_transpose(picture)


def is_transparent(picture: Image.Image) -> bool:
    """Whether some pixel is not opaque; formats may carry an alpha channel that is opaque everywhere."""
    if not ("A" in picture.getbands() or "transparency" in picture.info):
        return False
    alpha = picture.convert("RGBA").getchannel("A").getextrema()
    return bool(alpha[0] < 255)  # type: ignore[operator]


def flattened(picture: Image.Image, mode: str, paper: int = 255) -> Image.Image:
    """The picture in ``mode`` (``L`` or ``RGB``), transparent places ``paper`` instead of whatever lies under them.

    Args:
        picture: of any mode.
        mode: of the result.
        paper: 255 = white, as viewers show it; 0 for a mask, where transparent means nothing.
    """
    if not is_transparent(picture):
        return picture.convert(mode)
    over = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, (paper, paper, paper, 255)), over).convert(mode)

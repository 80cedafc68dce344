"""What lies in a folder, told without opening anything: image files that can be opened, folders, and what is neither.

Only regular files count, or links to them: a named pipe would hold its reader for ever.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from medsynth_app.imaging.reading import is_image_name

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
PICTURE_FORMATS = ("PNG", "JPEG")
"""What Pillow may take a picture for. Left alone it looks at the first bytes only, whatever the ending says, and hands
PostScript to Ghostscript."""
ARCHIVER_FOLDER = "__MACOSX"
DICOM_ENDINGS = (".dcm", ".ima", "dicomdir")


@dataclass(frozen=True)
class FolderEntries:
    """The entries of a folder; hidden ones and those that are no images and no folders are not among them.

    Attributes:
        files: name -> path of each regular file with an image's or picture's ending, sorted by name.
        folders: name -> path, sorted by name.
        odd: name as it can be shown -> why it is passed over.
        dicom: names of DICOM files, by their ending.
        time_ns: when the folder was changed last, as it was before it was read.
    """

    files: dict[str, Path] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)
    dicom: list[str] = field(default_factory=list)
    time_ns: int = 0


def read_folder(folder: Path) -> FolderEntries:
    """The entries of a folder.

    Raises:
        FileNotFoundError: it is gone.
        OSError: it may not be read.
    """
    found = FolderEntries(time_ns=os.stat(folder).st_mtime_ns)
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if not entry.name.startswith("."):
                _sort_in(entry, found)
    return found


def is_regular(path: Path) -> bool:
    """Whether a path leads to a regular file; whatever else is there is not opened."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def shown_name(name: str) -> str:
    """A name from the disk as it can be written into JSON and a log."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _sort_in(entry: os.DirEntry[str], found: FolderEntries) -> None:
    lower = entry.name.lower()
    is_image = is_image_name(lower) or lower.endswith(PICTURE_ENDINGS)
    kind = _kind(entry)
    if kind not in ("file", "folder") and not is_image:
        return
    if kind == "file" and not is_image:
        if lower.endswith(DICOM_ENDINGS):
            found.dicom.append(shown_name(entry.name))
        return
    name = shown_name(entry.name)
    if name != entry.name:
        found.odd[name] = "its name is not UTF-8; rename it"
    elif kind == "file":
        found.files[name] = Path(entry.path)
    elif kind == "folder" and name == ARCHIVER_FOLDER:
        found.odd[name] = "left behind by the archiver of macOS; it holds no images"
    elif kind == "folder" and is_image:
        found.odd[name] = "is a folder, not an image file"
    elif kind == "folder":
        found.folders[name] = Path(entry.path)
    else:
        found.odd[name] = f"is {kind}, not a regular file"


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
        return "a link that leads nowhere" if entry.is_symlink() else "a pipe, socket or device"
    except OSError:
        return "a link that leads to itself" if entry.is_symlink() else "not readable"

"""Who may import whom: the floors of the house, read from the imports, with the offender named.

apps -> api -> segmentation | synthesis | clinical | active_learning -> preparation -> imaging -> the ground floor.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LIBRARY = "medsynth_app"
WINGS = ("segmentation", "synthesis", "clinical", "active_learning")
GROUND = (
    "configuration", "vocabulary", "errors", "files", "options", "accounts", "audit", "request_context", "cancellation",
    "plain_values",
    "json_values",
    "precision", "updates", "quiet_imports",
)  # fmt: skip
FLOORS = {**dict.fromkeys(GROUND, 0), "imaging": 1, "preparation": 2, **dict.fromkeys(WINGS, 3), "api": 4}
OVERSEERS = ("batch", "cli", "commands", "library", "__main__")
"""What stands at the top of the library and may see every room, as may all that begins with ``benchmark``."""
WEB_FRAMEWORKS = ("fastapi", "starlette")


@dataclass(frozen=True)
class Import:
    """One import: ``module`` as an absolute dotted name, where it stands, whether inside a function."""

    module: str
    line: int
    in_function: bool


def imports_of(tree: ast.AST, package: list[str]) -> Iterator[Import]:
    """All imports of a module that lies in ``package``, relative ones resolved."""
    functions = [
        n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    ]
    late = {id(inner) for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        for module in _modules(node, package):
            yield Import(module, node.lineno, id(node) in late)  # type: ignore[attr-defined]


def _modules(node: ast.AST, package: list[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        stem = ".".join([*base, *([node.module] if node.module else [])])
        # ``from medsynth_app import imaging`` names a room in its second half.
        return [f"{stem}.{alias.name}" for alias in node.names] if stem == LIBRARY else [stem]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("import_module", "__import__"):
            return [str(node.args[0].value)]
    return []


def room_of(module: str) -> str | None:
    """``medsynth_app.imaging.volume`` -> ``imaging``; None outside the library."""
    parts = module.split(".")
    return parts[1] if parts[0] == LIBRARY and len(parts) > 1 else None


def offences(root: Path) -> list[str]:
    """Every breach of the rules in ``root/medsynth_app`` and ``root/apps``: file, line, rule."""
    found = []
    for top in (LIBRARY, "apps"):
        for path in sorted((root / top).rglob("*.py")):
            where = path.relative_to(root)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [f"{where.as_posix()}:{line}: {text}" for line, text in _offences_of_file(tree, where)]
    return found


def _offences_of_file(tree: ast.AST, where: Path) -> Iterator[tuple[int, str]]:
    parts = list(where.with_suffix("").parts)
    in_library = parts[0] == LIBRARY
    room = parts[1] if in_library else "apps"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            yield node.lineno, "calls print(; log or return instead"
    for found in imports_of(tree, parts[:-1]):
        own = found.module.split(".")[0] in (LIBRARY, "lib")
        if own and found.in_function:
            yield found.line, f"imports {found.module} inside a function; own imports stand at the top"
        if in_library:
            yield from ((found.line, text) for text in _library_offences(room, found.module))


def _library_offences(room: str, module: str) -> Iterator[str]:
    foreign = module.split(".", maxsplit=1)[0]
    if foreign in ("monailabel", "apps", "lib"):
        yield f"imports {module}; only apps knows it"
    if foreign in WEB_FRAMEWORKS and room != "api":
        yield f"imports {module}; only {LIBRARY}/api may"
    target = room_of(module)
    if target in (None, room, "__version__") or room in OVERSEERS or room.startswith("benchmark"):
        return
    if room not in FLOORS and room != "__init__":
        yield f"room {room!r} has no floor; give it one in {Path(__file__).name}"
    elif target not in FLOORS:
        yield f"imports {module}, which has no floor that {room} may look at"
    elif FLOORS[target] >= FLOORS.get(room, -1) and not {room, target} <= set(GROUND):
        yield f"{room} imports {module}; imports go down only and rooms of one floor do not see each other"


def test_imports_keep_to_the_floors(repository: Path) -> None:
    assert (repository / LIBRARY / "imaging").is_dir(), "the library is not where this test looks"
    assert offences(repository) == []


GOOD_TREE = {
    "medsynth_app/__init__.py": '__version__ = "1"\n',
    "medsynth_app/errors.py": "",
    "medsynth_app/configuration.py": "from medsynth_app.errors import E\nimport medsynth_app\n",
    "medsynth_app/imaging/volume.py": "import numpy\nfrom ..errors import E\nfrom .reading import r\n",
    "medsynth_app/segmentation/training/loop.py": "from medsynth_app.imaging import volume\n",
    "medsynth_app/api/router.py": "import fastapi\nfrom medsynth_app import clinical, imaging\n",
    "medsynth_app/cli.py": "from medsynth_app.segmentation import training\nimport medsynth_app.api.router\n",
    "medsynth_app/benchmark_segmentation.py": "import medsynth_app.synthesis.catalogue\n",
    "medsynth_app/segmentation/late.py": "def f():\n    import SimpleITK\n",
    "apps/medsynth/main.py": "import monailabel\nimport medsynth_app.api\nfrom lib import settings\n",
}

BAD_FILES = [
    (
        "medsynth_app/errors.py",
        "from medsynth_app.imaging import volume",
        "errors imports medsynth_app.imaging",
    ),
    (
        "medsynth_app/imaging/a.py",
        "import medsynth_app.segmentation.network",
        "imaging imports medsynth_app.segmentation",
    ),
    ("medsynth_app/imaging/a.py", "from ..clinical import tables", "imaging imports medsynth_app.clinical"),
    (
        "medsynth_app/imaging/a.py",
        "from medsynth_app import synthesis",
        "imaging imports medsynth_app.synthesis",
    ),
    (
        "medsynth_app/clinical/a.py",
        "from medsynth_app.segmentation.inference import segment",
        "do not see each other",
    ),
    (
        "medsynth_app/synthesis/a.py",
        "from medsynth_app.active_learning import ranking",
        "do not see each other",
    ),
    (
        "medsynth_app/clinical/a.py",
        "from medsynth_app.api import router",
        "clinical imports medsynth_app.api",
    ),
    ("medsynth_app/api/a.py", "from medsynth_app import cli", "has no floor that api may look at"),
    ("medsynth_app/__init__.py", "from medsynth_app import imaging", "__init__ imports medsynth_app.imaging"),
    ("medsynth_app/shed.py", "from medsynth_app import imaging", "room 'shed' has no floor"),
    (
        "medsynth_app/api/a.py",
        "from monailabel.config import settings",
        "imports monailabel.config; only apps",
    ),
    ("medsynth_app/cli.py", "def f():\n    import monailabel", "imports monailabel; only apps"),
    (
        "medsynth_app/clinical/a.py",
        "from starlette.responses import Response",
        "imports starlette.responses; only",
    ),
    ("medsynth_app/cli.py", "import fastapi", "imports fastapi; only medsynth_app/api"),
    ("medsynth_app/imaging/a.py", "def f():\n    from medsynth_app.errors import E", "inside a function"),
    (
        "medsynth_app/imaging/a.py",
        "import importlib\nimportlib.import_module('medsynth_app.api')",
        "imaging imports",
    ),
    ("apps/medsynth/lib/a.py", "async def f():\n    from medsynth_app import imaging", "inside a function"),
    ("medsynth_app/imaging/a.py", "print('hello')", "calls print("),
    ("apps/medsynth/main.py", "x = lambda: print(1)", "calls print("),
]


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_a_good_tree_passes(tmp_path: Path) -> None:
    assert offences(write_tree(tmp_path, GOOD_TREE)) == []


@pytest.mark.parametrize(("name", "text", "complaint"), BAD_FILES)
def test_a_bad_tree_fails_and_the_offender_is_named(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    found = offences(write_tree(tmp_path, {**GOOD_TREE, name: text}))
    assert len(found) == 1
    assert found[0].startswith(f"{name}:{1 + text.count(chr(10))}: ")
    assert complaint in found[0]


CROWDED_STILL = ("apps/medsynth/lib",)
LONG_STILL = (
    "apps/medsynth/lib/datastore.py",
    "apps/medsynth/lib/dicom_datastore.py",
    "apps/medsynth/lib/server/routes/datastore.py:build_router",
    "medsynth_app/api/access/login.py:build_router",
    "medsynth_app/benchmarks/cohorts/cohort.py",
    "medsynth_app/benchmarks/cross_check.py",
    "medsynth_app/clinical/assessment.py",
    "medsynth_app/clinical/database/migrations/versions/0001_first_tables.py:upgrade",
    "medsynth_app/clinical/report/content.py",
    "medsynth_app/clinical/scoring/cross_check.py",
    "medsynth_app/clinical/scoring/cross_check.py:_scored",
    "medsynth_app/clinical/site/site_report.py",
    "medsynth_app/imaging/atlas/registration.py",
    "medsynth_app/synthesis/phantoms/chest.py:_paint_disease",
    "medsynth_app/synthesis/phantoms/head.py:_paint_disease",
    "medsynth_app/synthesis/phantoms/heart.py:_paint_chambers",
    "medsynth_app/synthesis/stylegan2/network.py",
)
"""What was crowded and long when the rules came; nothing is added, and what has become short is taken off."""
MOST_MODULES = 15
"""In one folder: more are several ideas, which a folder each would name."""
MOST_LINES = 450
MOST_LINES_OF_A_FUNCTION = 50
LARGE_ROOMS = ("clinical", "synthesis")
MOST_LOOSE_MODULES = 6
"""In the root of a large room, before its suites."""


def suite_of(module: str) -> str | None:
    """``medsynth_app.clinical.site.site_report`` -> ``clinical/site``; a loose module stands for itself."""
    parts = module.split(".")
    return "/".join(parts[1:3]) if parts[0] == LIBRARY and len(parts) > 2 else None


def suite_imports(root: Path, room: str) -> dict[str, set[str]]:
    """Suite -> suites of the same room that it imports."""
    found: dict[str, set[str]] = {}
    for path in sorted((root / LIBRARY / room).rglob("*.py")):
        parts = list(path.relative_to(root).with_suffix("").parts)
        own = suite_of(".".join(parts))
        if own is None or parts[2] == "__init__":
            continue
        targets = {suite_of(i.module) for i in imports_of(ast.parse(path.read_text(encoding="utf-8")), parts[:-1])}
        found.setdefault(own, set()).update(t for t in targets if t and t != own and t.startswith(f"{room}/"))
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A way from a suite back to itself, or nothing."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph.get(node, ())):
            if found := walk(target, [*way, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := walk(node, []))), [])


@pytest.mark.parametrize("room", ["api", "imaging", "preparation", *WINGS, "benchmarks", "commands"])
def test_suites_of_a_room_form_no_circle(repository: Path, room: str) -> None:
    assert circle(suite_imports(repository, room)) == []


def test_a_circle_of_suites_is_found_and_named(tmp_path: Path) -> None:
    write_tree(tmp_path, {
        "medsynth_app/clinical/a/x.py": "from medsynth_app.clinical.b.y import Y\n",
        "medsynth_app/clinical/b/y.py": "from medsynth_app.clinical.c import Z\n",
        "medsynth_app/clinical/c.py": "from medsynth_app.clinical.a.w import W\n",
        "medsynth_app/clinical/a/w.py": "",
    })  # fmt: skip
    assert circle(suite_imports(tmp_path, "clinical")) == ["clinical/a", "clinical/b", "clinical/c", "clinical/a"]


def crowded_folders(root: Path) -> list[str]:
    """Folders with more modules than a reader takes in at a glance."""
    found = []
    for folder in sorted({p.parent for top in (LIBRARY, "apps") for p in (root / top).rglob("*.py")}):
        count = sum(1 for p in folder.glob("*.py") if p.name != "__init__.py")
        name = folder.relative_to(root).as_posix()
        loose = name in [f"{LIBRARY}/{room}" for room in LARGE_ROOMS]
        if count > (MOST_LOOSE_MODULES if loose else MOST_MODULES):
            found.append(f"{name}: {count} modules")
    return found


def test_no_folder_is_crowded(repository: Path) -> None:
    assert [f for f in crowded_folders(repository) if f.split(":")[0] not in CROWDED_STILL] == []


def long_things(root: Path) -> list[str]:
    """Modules and functions that are longer than a reader holds in mind."""
    found = []
    for path in sorted(p for top in (LIBRARY, "apps") for p in (root / top).rglob("*.py")):
        text, where = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        if text.count("\n") > MOST_LINES:
            found.append(where)
        for node in ast.walk(ast.parse(text)):
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            if is_function and _code_lines(node) > MOST_LINES_OF_A_FUNCTION:
                found.append(f"{where}:{node.name}")
    return found


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_module_and_no_function_is_too_long(repository: Path) -> None:
    found = long_things(repository)
    assert [thing for thing in found if thing not in LONG_STILL] == []
    assert [thing for thing in LONG_STILL if thing not in found] == [], "no longer long: take it off the list"


def test_importing_the_library_is_light_and_silent(repository: Path) -> None:
    code = (
        "import sys, medsynth_app, medsynth_app.errors, medsynth_app.vocabulary\n"
        "heavy = {'torch', 'monai', 'monailabel', 'fastapi', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, sorted(heavy)\n"
    )
    outcome = _run_python(code, repository)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_imaging_needs_no_torch(repository: Path) -> None:
    outcome = _run_python(
        "import sys, medsynth_app.imaging.studies.cases\n"
        "assert not {'torch', 'monailabel', 'SimpleITK'} & set(sys.modules)\n",
        repository,
    )
    assert outcome.returncode == 0, outcome.stderr


def _run_python(code: str, repository: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=False
    )

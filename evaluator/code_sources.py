"""The source of a reference: its file, the files beside it that it imports, and their hash.

Nothing is imported to find them.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from evaluator.errors import NotFound
from evaluator.references import Reference
from evaluator.text import printable

MOST_FILES = 200
"""Files that are followed; a package that is larger is known by those nearest to the reference."""


@dataclass(frozen=True)
class Sources:
    """The source of a reference, read once.

    Attributes:
        root: folder of the file, or the folder that holds the top-level package.
        files: the file of the reference first, then those of the same folder or package that it
            imports, relative to ``root``.
        sha256: over the names and bytes of all of them.
        contents: the bytes of each file, which were hashed and are to be executed.
    """

    root: Path
    files: tuple[str, ...]
    sha256: str
    contents: tuple[bytes, ...] = field(default=(), repr=False, compare=False)

    @property
    def file(self) -> Path:
        """The file that holds what the reference names."""
        return self.root / self.files[0]


def sources_of(reference: Reference) -> Sources:
    """The files of a reference.

    Imports are read from the syntax: ``import helper`` beside a file, ``from . import helper`` and
    ``import package.helper`` within a package, also inside functions. What is imported by a
    computed name is not seen.

    Raises:
        NotFound: no such file or module.
    """
    file = reference.file
    root, first = (file.parent, file) if file else _module_file(reference.source)
    top = None if file else reference.source.partition(".")[0]
    contents: dict[Path, bytes] = {}
    pending = [first, *_packages_of(first, root)] if top else [first]
    while pending and len(contents) < MOST_FILES:
        path = pending.pop(0)
        if path not in contents:
            contents[path] = _read(path, reference)
            pending += sorted(set(_imported(path, contents[path], root, top)))
    paths = (first, *sorted(path for path in contents if path != first))
    names = tuple(path.relative_to(root).as_posix() for path in paths)
    digest = hashlib.sha256()
    for name, path in zip(names, paths, strict=True):
        head = f"{name}\0{len(contents[path])}\0".encode("utf-8", "surrogateescape")
        digest.update(head + contents[path])
    return Sources(root, names, digest.hexdigest(), tuple(contents[path] for path in paths))


def _read(path: Path, reference: Reference) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"cannot read {printable(path)}, which {printable(reference.short)} needs: "
            f"{error.strerror}",
            "give FILE.py:Name",
        ) from error


def _module_file(module: str) -> tuple[Path, Path]:
    """Root and file of an importable module; its parent packages are not imported to find them."""
    names = module.split(".")
    try:
        spec = find_spec(names[0])
    except (ImportError, ValueError):
        spec = None
    for place in range(2, len(names) + 1):
        spec = spec and PathFinder.find_spec(
            ".".join(names[:place]), spec.submodule_search_locations
        )
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise NotFound(
            f"no module '{printable(module)}' is installed here",
            f"a file is given with its path: ./{names[-1]}.py:Name",
        )
    file = Path(spec.origin).resolve()
    depth = len(names) - (file.name != "__init__.py")
    return file.parents[depth], file


def _packages_of(file: Path, root: Path) -> list[Path]:
    """The ``__init__.py`` of every package that a module is in: they run when it is imported."""
    folders = [folder for folder in file.parents if folder != root and folder.is_relative_to(root)]
    return [folder / "__init__.py" for folder in folders if (folder / "__init__.py").is_file()]


def _imported(path: Path, content: bytes, root: Path, top: str | None) -> Iterator[Path]:
    """Files of the same folder (package, where there is a ``top``) that a file imports."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # whoever imports it is told where
    for node in ast.walk(tree):
        for folder, name in _named(node, path, root):
            if top is None or name.split(".")[0] == top or folder != root:
                yield from (file for file in _files_of(folder, name) if file.is_relative_to(root))


def _named(node: ast.AST, path: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Folder and dotted name of everything that one statement imports."""
    if isinstance(node, ast.Import):
        yield from ((root, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        folder = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else root
        if node.module:
            yield folder, node.module
        yield from (
            (folder, ".".join(filter(None, [node.module, alias.name]))) for alias in node.names
        )


def _files_of(folder: Path, name: str) -> Iterator[Path]:
    """The file of a module and those of the packages that it is in, where they are there."""
    here = folder
    for part in name.split("."):
        here = here / part
        for candidate in (here / "__init__.py", here.with_name(f"{part}.py")):
            if candidate.is_file():
                yield candidate

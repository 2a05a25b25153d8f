"""Import of the user's modules from the very bytes that were hashed.

A file may change between the moment when its hash is compared and the moment when Python reads it.
So the importer serves the contents that ``sources_of`` has read, for the file of a reference and
for every neighbour that it imports, also when that import stands inside a function and runs hours
later. Compiled copies (``__pycache__``) are neither read nor written. ``sys.path`` stays as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from evaluator.code_sources import Sources
from evaluator.errors import UsageError
from evaluator.text import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class HashedLoader(SourceFileLoader):
    """Loader of one module from given bytes; data files of its package are read from disk."""

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self._content = content

    def get_data(self, path: str) -> bytes:
        """The source as it was hashed, or the content of another file."""
        return self._content if path == self.path else super().get_data(path)

    def path_stats(self, path: str) -> dict[str, float]:
        """Raise ``OSError``, so that no compiled copy of another version is taken."""
        raise OSError("modules of hashed sources have no compiled copy")

    def set_data(self, path: str, data: ReadableBuffer, *, _mode: int = 0o666) -> None:
        """Write no compiled copy."""


class SourceFinder(MetaPathFinder):
    """Finder of the modules of one reference; it stands first in ``sys.meta_path``.

    Attributes:
        beside: whether the modules stand beside a file, and must not hide an installed package.
        searches_root: whether modules that were not hashed are looked for in the root: those whose
            names the syntax does not show (computed names, compiled extensions).
    """

    def __init__(self, sources: Sources, *, beside: bool) -> None:
        self.root = sources.root
        self.beside = beside
        self.searches_root = False
        self.modules = {
            module_name(file): (sources.root / file, content)
            for file, content in zip(sources.files, sources.contents, strict=True)
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module of that name, or a folder of modules that has no ``__init__.py``."""
        top_level = path is None
        if top_level and self.beside:
            installed = _found_by_others(fullname)
            if installed is not None and not self._is_own_file(fullname, installed):
                return installed
        if fullname in self.modules:
            file, content = self.modules[fullname]
            return spec_of(fullname, file, content)
        if self.beside and any(name.startswith(f"{fullname}.") for name in self.modules):
            folder = ModuleSpec(fullname, None, is_package=True)
            folder.submodule_search_locations = [str(self.root.joinpath(*fullname.split(".")))]
            return folder
        if top_level and self.searches_root:
            return PathFinder.find_spec(fullname, [str(self.root)])
        return None

    def _is_own_file(self, name: str, installed: ModuleSpec) -> bool:
        """Whether what others find is a file that was hashed: its folder is on ``sys.path``."""
        if name not in self.modules or installed.origin is None:
            return False
        return Path(installed.origin).resolve() == self.modules[name][0].resolve()


def _found_by_others(name: str) -> ModuleSpec | None:
    """A top-level module as the finders find it that serve no user's files."""
    for finder in sys.meta_path:
        if not isinstance(finder, SourceFinder) and (spec := finder.find_spec(name, None)):
            return spec
    return None


def module_name(file: str) -> str:
    """``parts/small.py`` → ``parts.small``, ``parts/__init__.py`` → ``parts``."""
    return file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def spec_of(name: str, file: Path, content: bytes) -> ModuleSpec | None:
    """The specification of a module that is executed from given bytes."""
    folders = [str(file.parent)] if file.name == "__init__.py" else None
    return spec_from_file_location(
        name,
        file,
        loader=HashedLoader(name, str(file), content),
        submodule_search_locations=folders,
    )


def install_finder(sources: Sources, *, beside: bool) -> SourceFinder:
    """Serve the modules of a reference from now on.

    Args:
        beside: see ``SourceFinder``.

    Raises:
        UsageError: a file's neighbour has the name of a module of another folder.
    """
    finder = SourceFinder(sources, beside=beside)
    if beside:
        _refuse_hidden(sources)
    sys.meta_path.insert(0, finder)
    return finder


def _refuse_hidden(sources: Sources) -> None:
    """Refuse two files in different folders that both import a neighbour of one name."""
    for file in sources.files[1:]:
        name = module_name(file)
        other = getattr(sys.modules.get(name), "__file__", None) or _served_elsewhere(name)
        if other and Path(other).resolve() != (sources.root / file).resolve():
            raise UsageError(
                f"{printable(sources.file)} imports {printable(file)}, and another "
                f"{Path(file).name} is imported already: {printable(other)}",
                "rename one of them",
            )


def _served_elsewhere(name: str) -> Path | None:
    """The file that an earlier reference's finder serves under a name."""
    finders = [finder for finder in sys.meta_path if isinstance(finder, SourceFinder)]
    return next((finder.modules[name][0] for finder in finders if name in finder.modules), None)

"""The user's code: its files and their hash, its import, the line where something went wrong.

Used where the code is allowed to run: in a worker and in the child processes that describe or
check it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evaluator.errors import CamtuiError, CodeNotAllowed, Mismatch, NotFound, UsageError
from evaluator.map_files import sha256_of
from evaluator.methods.adapters import LIBRARIES
from evaluator.references import Reference
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

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

    Of maps only the hash: they are data, and may be larger than memory.

    Raises:
        NotFound: no such file or module.
    """
    if reference.maps:
        return Sources(reference.maps[0], ("",), sha256_of(reference.maps))
    file = reference.file
    root, first = (file.parent, file) if file else _module_file(reference.source)
    top = None if file else reference.source.partition(".")[0]
    contents: dict[Path, bytes] = {}
    pending = [first, *_packages_of(first, root)] if top else [first]
    while pending and len(contents) < MOST_FILES:
        path = pending.pop(0)
        if path not in contents:
            contents[path] = _read(path, reference)
            pending += sorted(set(_imported_names(path, contents[path], root, top)))
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
    lacks_library = spec is None and names[0] in LIBRARIES
    for place in range(2, len(names) + 1):
        spec = spec and PathFinder.find_spec(
            ".".join(names[:place]), spec.submodule_search_locations
        )
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise NotFound(
            f"no module '{printable(module)}' is installed here",
            'pip install "camtui[peers]"'
            if lacks_library
            else f"a file is given with its path: ./{names[-1]}.py:Name",
        )
    file = Path(spec.origin).resolve()
    depth = len(names) - (file.name != "__init__.py")
    return file.parents[depth], file


def _packages_of(file: Path, root: Path) -> list[Path]:
    """The ``__init__.py`` of every package that a module is in: they run when it is imported."""
    folders = [folder for folder in file.parents if folder != root and folder.is_relative_to(root)]
    return [folder / "__init__.py" for folder in folders if (folder / "__init__.py").is_file()]


def _imported_names(path: Path, content: bytes, root: Path, top: str | None) -> Iterator[Path]:
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


_allowed: dict[str, str] = {}
"""Code that may be imported in this process: text of a reference → hash of its source."""

_loaded: dict[tuple[str, str], ModuleType] = {}
"""Modules of files by path and hash: two names of one file share it."""


def allow(sources: Mapping[str, str]) -> None:
    """Allow code to be imported in this process.

    Args:
        sources: the text of each reference → the hash of the source that may run.
    """
    _allowed.update(sources)


def load(reference: Reference) -> Any:
    """Import the module of a reference and return what it names.

    Raises:
        CodeNotAllowed: nobody has allowed it.
        Mismatch: its source is not the one that was allowed.
        UsageError: the module cannot be imported (file, line and why), or has nothing of that name.
    """
    return member(reference, load_module(reference))


def load_module(reference: Reference) -> ModuleType:
    """The module of a reference; see ``load``."""
    sources = permitted(reference)
    key = (reference.source, sources.sha256)
    if key not in _loaded:
        with user_errors(reference, f"cannot import {printable(reference.source)}"):
            _loaded[key] = _imported(reference, sources)
    return _loaded[key]


def permitted(reference: Reference) -> Sources:
    """The source of a reference, which may be imported in this process.

    Raises:
        CodeNotAllowed: nobody has allowed it.
        Mismatch: its source is not the one that was allowed.
    """
    sha256 = _allowed.get(reference.text)
    if sha256 is None:
        raise CodeNotAllowed(
            f"{printable(reference.short)} has not been allowed to run",
            "name it on the command line",
        )
    sources = sources_of(reference)
    if sources.sha256 != sha256:
        raise Mismatch(
            changed(reference, sha256, sources.sha256), "name it again where the change is meant"
        )
    return sources


def changed(reference: Reference, before: str, now: str) -> str:
    """Message that the source of a reference is not what it was."""
    what = "" if reference.maps else "the source of "
    return f"{what}{printable(reference.short)} has changed: sha256 {before[:12]} → {now[:12]}"


def _imported(reference: Reference, sources: Sources) -> ModuleType:
    """The module of a reference, executed from the bytes that were hashed.

    Its neighbours are served from the hashed bytes too, now and in imports inside functions
    (``source_finder``). While a file is imported its folder is also searched for modules whose
    names the syntax does not show; what a function imports later by a computed name must be on the
    user's own path.
    """
    finder = install_finder(sources, beside=reference.file is not None)
    finder.searches_root = reference.file is not None
    try:
        if reference.file:
            return _from_file(sources)
        return importlib.import_module(reference.source)
    except BaseException:
        sys.meta_path.remove(finder)
        raise
    finally:
        finder.searches_root = False


def _from_file(sources: Sources) -> ModuleType:
    """The module of a file, under a name that holds its hash: two versions do not meet."""
    name = f"{sources.file.stem}_{sources.sha256[:12]}"
    spec = spec_of(name, sources.file, sources.contents[0])
    assert spec is not None, "it has a loader"
    assert spec.loader is not None, "it has a loader"
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def member(reference: Reference, module: ModuleType) -> Any:
    """The object that a reference names in its module.

    Raises:
        UsageError: there is nothing of that name.
    """
    found: Any = module
    for part in reference.name.split("."):
        if not hasattr(found, part):
            known = [
                name
                for name, value in vars(module).items()
                if f"{getattr(value, '__module__', '')}.".startswith(f"{module.__name__}.")
            ]
            raise _lacks(reference, known)
        found = getattr(found, part)
    return found


def _lacks(reference: Reference, known: Sequence[str]) -> UsageError:
    near = did_you_mean(reference.name, known)
    has = f"it has {', '.join(known[:6])}" if known else "it defines nothing"
    return UsageError(f"{printable(reference.source)} has no '{reference.name}'", f"{near}{has}")


def check_defined(reference: Reference) -> None:
    """Look for a name in a file's syntax; nothing is run.

    A file that cannot be parsed, or may bind names that its syntax does not show, passes.

    Raises:
        UsageError: the file binds no such name.
    """
    try:
        tree = ast.parse(sources_of(reference).contents[0])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = dict(_bound(tree))
    if used & _BINDERS or {"*", "__getattr__"} & imported.keys():
        return
    if reference.name.partition(".")[0] not in imported:
        raise _lacks(reference, [name for name in imported if not imported[name]])


_BINDERS = {"globals", "locals", "vars", "setattr", "exec", "eval"}


def _bound(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Every name that a module's statements bind, and whether it is imported."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop(0)
        inner = ast.iter_child_nodes(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, False
            inner = (one for one in ast.walk(node) if isinstance(one, ast.Global))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((one.asname or one.name.partition(".")[0], True) for one in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, False
        elif isinstance(node, ast.Global):
            yield from ((name, False) for name in node.names)
        pending += inner


@contextmanager
def user_errors(reference: Reference, what: str) -> Iterator[None]:
    """Turn what the user's code raises into a ``UsageError`` with the line of the user's file.

    Args:
        reference: whose code runs within.
        what: what was tried, for the message.
    """
    sources = sources_of(reference)
    try:
        yield
    except CamtuiError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{what}: {error_text(error, sources.root)}", f"mend {printable(sources.file)}"
        ) from error


def error_text(error: BaseException, root: Path) -> str:
    """The innermost line below a folder and its error: ``mycam.py:12: ValueError: …``."""
    if isinstance(error, SyntaxError) and error.filename:
        place, words = f"{Path(error.filename).name}:{error.lineno}: ", f"SyntaxError: {error.msg}"
    else:
        place, words = line_of(error, root), f"{type(error).__name__}: {error}"
    return f"{place}{printable(words, 300)}"


def line_of(error: BaseException, root: Path) -> str:
    """The innermost line of an error below a folder, ``mycam.py:12: ``, or empty."""
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    return f"{printable(Path(frames[-1].filename).name)}:{frames[-1].lineno}: " if frames else ""

"""Queries about the images of a run, in their seeded order."""

from __future__ import annotations

from evaluator.errors import NotFound
from evaluator.records import ImageRef
from evaluator.store.readonly import ReadOnlyFile
from evaluator.text import printable


class Images:
    """The images of a run."""

    def __init__(self, file: ReadOnlyFile) -> None:
        self._file = file

    @property
    def columns(self) -> str:
        """The columns of an ``ImageRef``, of a table that a query calls ``i``."""
        return f"i.id, i.path, i.size, i.label, {'i.content' if self._file.version > 1 else 'NULL'}"

    def get(self, image: int) -> ImageRef:
        """One image of the manifest.

        Raises:
            NotFound: the run has no image of that rank.
        """
        row = self._file.stream(
            f"SELECT {self.columns} FROM images i WHERE id = ?", (image,)
        ).fetchone()
        if row is None:
            raise NotFound(f"the run has no image {image}", "camtui worst RUN lists images")
        return ImageRef(*row)

    def between(self, first: int, last: int) -> list[ImageRef]:
        """The images of rank first to last, both included."""
        return [
            ImageRef(*row)
            for row in self._file.all(
                f"SELECT {self.columns} FROM images i WHERE id BETWEEN ? AND ?",
                (first, last),
            )
        ]

    def find(self, text: str) -> ImageRef:
        """An image by rank, by path, or by file name.

        Raises:
            NotFound: none, or more than one.
        """
        if text.isdecimal():
            return self.get(int(text))
        exact = self._file.all(
            f"SELECT {self.columns} FROM images i WHERE path = ?",
            (text.encode("utf-8", "surrogateescape"),),
        )
        rows = exact or [
            row
            for row in self._file.all(f"SELECT {self.columns} FROM images i")
            if text in row[1].decode("utf-8", "surrogateescape")
        ]
        if len(rows) != 1:
            raise NotFound(
                f"{len(rows) or 'no'} images match '{printable(text)}'",
                "give its number or its whole path",
            )
        return ImageRef(*rows[0])

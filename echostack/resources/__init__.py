"""Finds the folders that the package reads, in a wheel, an sdist, an editable install and a checkout alike.

A wheel carries the folders inside the package, under ``_data``; everywhere else they stand beside it. The
wheel's copy is looked for first, so that an installed package never picks up a folder that happens to lie next to
``site-packages/echostack``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

FOLDERS: Final = {
    "grammar": "grammar",
    "graphs": "graphs",
    "playbooks": "playbooks",
    "examples": "examples",
    "diagnostics": "docs/diagnostics",
}
"""The folders that are shipped, and where they stand in a checkout. Of the examples, a wheel has only the file that the
demonstration calls."""


@cache
def folder(name: str) -> Traversable:
    """The shipped folder ``name``, one of ``FOLDERS``.

    What comes back may stand inside an archive: read it through ``Traversable`` (``/``, ``iterdir``, ``read_text``),
    never as a path. ValueError for another name; FileNotFoundError when the installation lacks the folder.
    """
    if name not in FOLDERS:
        raise ValueError(f"{name!r} is no shipped folder: there are {', '.join(FOLDERS)}")
    package = files("echostack")
    places = [package / "_data" / name]
    # Only a checkout or an unpacked sdist has a pyproject.toml beside the package. A Traversable may have no parent.
    parent = getattr(package, "parent", None)
    if parent is not None and (parent / "pyproject.toml").is_file():
        places.append(parent.joinpath(*FOLDERS[name].split("/")))
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"this installation of EchoStack lacks its folder {name!r}: install it again")

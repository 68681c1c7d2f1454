"""The shipped folders are found in a checkout, a wheel, a wheel made from an sdist, an editable install, an archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from echostack.resources import folder

FOLDERS = ("grammar", "graphs", "playbooks")
"""Those of which a wheel carries everything."""

ASK = """
import echostack
from echostack.resources import folder
print(echostack.__file__)
for name in ("grammar", "graphs", "playbooks"):
    print(name, *sorted(entry.name for entry in folder(name).iterdir()), sep="|")
    for entry in folder(name).iterdir():
        if entry.is_file():
            entry.read_text(encoding="utf-8")
assert (folder("diagnostics") / "E0101.md").read_text(encoding="utf-8").startswith("# E0101")
assert "name: front_desk" in (folder("examples") / "front_desk.echo").read_text(encoding="utf-8")
"""


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """The command's output; its errors when it fails."""
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        text=True,
        capture_output=True,
        timeout=300,
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **env},
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def listing(checkout: Path) -> list[str]:
    """What ``ASK`` should print of the folders, taken from the checkout's own files."""
    return ["|".join([name, *sorted(os.listdir(checkout / name))]) for name in FOLDERS]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """A copy of what goes into the packages, so that a build never sees what others are writing meanwhile."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    for name in ("echostack", *FOLDERS, "examples", "docs/diagnostics"):
        shutil.copytree(checkout / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(checkout / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    """A wheel built by way of an sdist, as a release is."""
    out = tmp_path_factory.mktemp("dist")
    build = "import sys; from hatchling.build import build_sdist; print(build_sdist(sys.argv[1]))"
    name = run(sys.executable, "-c", build, out, cwd=source).split()[-1]
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "-w", out, out / name, cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture
def empty_venv(tmp_path: Path) -> Path:
    """The python of a new environment that sees our dependencies but no installation of EchoStack."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    # A folder named by a .pth is searched, but its own .pth files are not read: an editable install stays unseen.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "python"


def test_the_checkout_serves_its_own_folders(checkout: Path) -> None:
    for name in FOLDERS:
        assert str(folder(name)) == str(checkout / name)


def test_a_folder_that_is_not_shipped_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match="'tests' is no shipped folder: there are grammar, graphs, playbooks, examples, diagnostics"
    ):
        folder("tests")


def test_a_wheel_carries_the_folders(wheel: Path, empty_venv: Path, tmp_path: Path, source: Path) -> None:
    install = (sys.executable, "-m", "pip", "--python", empty_venv, "install", "-q", "--no-deps", "--no-index", wheel)
    run(*install, cwd=tmp_path)
    where, *folders = run(empty_venv, "-c", ASK, cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(empty_venv.parent.parent)
    assert folders == listing(source)


def test_an_editable_install_serves_the_checkout(empty_venv: Path, tmp_path: Path, source: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", empty_venv, "install", "-q", "--no-deps", "--no-index")
    run(*pip, "--no-build-isolation", "-e", source, cwd=tmp_path)
    where, *folders = run(empty_venv, "-c", ASK, cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(source)
    assert folders == listing(source)


def test_the_wheel_works_from_inside_its_archive(wheel: Path, empty_venv: Path, tmp_path: Path, source: Path) -> None:
    where, *folders = run(empty_venv, "-c", ASK, cwd=tmp_path, PYTHONPATH=str(wheel)).splitlines()
    assert Path(where).is_relative_to(wheel)
    assert folders == listing(source)


def test_an_installation_without_its_folders_says_so(wheel: Path, empty_venv: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "bare", [n for n in archive.namelist() if "/_data/" not in n])
    ask = "from echostack.resources import folder\ntry: folder('graphs')\nexcept FileNotFoundError as e: print(e)"
    said = run(empty_venv, "-c", ask, cwd=tmp_path, PYTHONPATH=str(tmp_path / "bare"))
    assert said == "this installation of EchoStack lacks its folder 'graphs': install it again\n"

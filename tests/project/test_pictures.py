"""The committed pictures are those that the files give: `make render` draws them again."""

from __future__ import annotations

from pathlib import Path

import pytest

from echostack import api
from echostack.plan import lower
from echostack.render import draw, picture

ROOT = Path(__file__).resolve().parent.parent.parent
DRAWN = {
    **{p: p.with_suffix(".svg") for p in sorted(ROOT.glob("graphs/*.echo"))},
    **{p: ROOT / "docs/pictures" / f"{p.stem}.svg" for p in sorted(ROOT.glob("examples/*.echo"))},
}


@pytest.mark.parametrize("file", DRAWN, ids=lambda p: p.name)
def test_a_picture_is_current(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = api.check(file.relative_to(ROOT))
    assert found.checked is not None
    drawn = draw(picture(found.checked, findings=found.findings, plan=lower(found.checked)), "svg", prefer="bundled")
    assert DRAWN[file].read_bytes() == drawn, f"{DRAWN[file].relative_to(ROOT)} is not current: run `make render`"


def test_no_picture_is_left_of_a_file_that_went() -> None:
    pictures = {*ROOT.glob("graphs/*.svg"), *ROOT.glob("docs/pictures/*.svg")}
    assert pictures == set(DRAWN.values())

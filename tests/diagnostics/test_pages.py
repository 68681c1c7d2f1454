"""The pages about diagnostics: one a code, none orphaned, every example gives its code and exactly its message."""

from __future__ import annotations

import pytest

from tests.diagnostics.pages import CODES, FOLDER, MEND, PRIVILEGED, STAGES, Page, index, pages, said, said_when_mended

PAGES = pages()
IDS = [p.code for p in PAGES]


def test_codes_are_unique_and_belong_to_a_stage() -> None:
    ids = [c.id for c in CODES]
    assert len(ids) == len(set(ids))
    assert {i[1:3] for i in ids} == set(STAGES)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert set(IDS) == {c.id for c in CODES}


def test_nothing_else_lies_beside_the_pages() -> None:
    assert {p.name for p in FOLDER.iterdir()} == {"README.md", *(f"{i}.md" for i in IDS)}


def test_the_list_of_pages_is_current() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == index(), "python -m tests.diagnostics.pages --update"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_page_has_its_parts_in_order(page: Page) -> None:
    assert page.title == f"{page.code}: {next(c.title for c in CODES if c.id == page.code)}"
    parts = ["# ", "\n## A file that shows it\n", "\n## The message\n", f"\n{MEND}\n"]
    places = [page.text.index(part) for part in parts]
    assert places == sorted(places)
    assert all(page.text.count(part) == 1 for part in parts[1:])
    meaning = page.text[: places[1]].partition("\n\n")[2].strip()
    assert len(meaning) > 20
    assert page.text.partition(f"{MEND}\n\n")[2].strip()
    assert page.text.endswith("\n")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_example_gives_exactly_the_message(page: Page) -> None:
    if page.code in PRIVILEGED:
        pytest.skip("the superuser may read every file")
    assert said(page) == page.message, "python -m tests.diagnostics.pages --update"
    assert page.code in page.message


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_mended_file_gives_the_code_no_more(page: Page) -> None:
    codes = said_when_mended(page)
    if codes is not None:
        assert page.code not in codes

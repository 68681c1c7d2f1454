"""From a model's tokens to what is spoken: where pieces end, and how what is written is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.connectors.chat.cut import Cutter
from echostack.connectors.chat.speech import Speech
from echostack.connectors.clauses import LONGEST
from echostack.connectors.spoken_numbers import cardinal, ordinal, year


def said(*tokens: str, words: int = 3, speakable: bool = True, language: str = "en", cut: bool = False) -> list[str]:
    speech = Speech(language=language, speakable=speakable, first_words=words)
    return [piece for token in tokens for piece in speech.feed(token)] + speech.end(cut=cut)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Okay.", ["Okay."]),
        ("no full stop", ["no full stop"]),
        ("Let me check that, one moment please. It is, I think, free.",
         ["Let me check that,", "one moment please.", "It is, I think, free."]),
        ("Sure, one moment.", ["Sure, one moment."]),
        ("Dr. Lee sees you at 3 p.m. today. Come early!",
         ["Doctor Lee sees you at three PM today.", "Come early!"]),
        ("No. It is closed. No. 5 is open.", ["No.", "It is closed.", "number five is open."]),
        ("J. K. Rowling wrote it.", ["J. K. Rowling wrote it."]),
        ("Wait... what?! Yes.", ["Wait... what?!", "Yes."]),
        ("It is on March 3, 2026, at noon.", ["It is on March third, twenty twenty-six,", "at noon."]),
        ("He said “Stop!” She left.", ["He said “Stop!”", "She left."]),
        ("A line\nand another", ["A line", "and another"]),
        ("Hello! 😀 How are you?", ["Hello!", "How are you?"]),
        ("[One. Two](http://x.test/a). Three.", ["One. Two.", "Three."]),
        ("👋", []),
        ("... \n\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_an_answer_is_cut_where_a_speaker_would_pause(text: str, pieces: list[str]) -> None:
    assert said(text) == pieces


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("$1,250.50", "one thousand two hundred fifty dollars and fifty cents"),
        ("$1 and $0.99", "one dollar and ninety-nine cents"),
        ("$5 million or £2.5bn", "five million dollars or two point five billion pounds"),
        ("45 USD, 12€", "forty-five dollars, twelve euros"),
        ("from $10-$20", "from ten dollars to twenty dollars"),
        ("7:30 pm", "seven thirty PM"),
        ("7:05", "seven oh five"),
        ("9:00 or 19:00", "nine o'clock or nineteen hundred"),
        ("9am-5pm", "nine AM to five PM"),
        ("at 12 p.m.", "at twelve PM."),
        ("March 3rd, 2026", "March third, twenty twenty-six"),
        ("the 3rd of Nov. 2005", "the third of November, two thousand five"),
        ("2026-11-23 or 1/2/1999", "November twenty-third, twenty twenty-six or January second, nineteen ninety-nine"),
        ("In 1905 and the 1990s", "In nineteen oh five and the nineteen nineties"),
        ("1500 people", "one thousand five hundred people"),
        ("+1 (555) 123-4567", "plus one, five five five, one two three, four five six seven"),
        ("call 555-0100", "call five five five, zero one zero zero"),
        ("order 0042 or 12345678", "order zero zero four two or one two three four five six seven eight"),
        ("50% and 3.5%", "fifty percent and three point five percent"),
        ("20 °C, 5 km/h, 1 kg", "twenty degrees Celsius, five kilometers an hour, one kilogram"),
        ("1/2 or 24/7", "one half or twenty-four seven"),
        ("-5 and 3.14", "minus five and three point one four"),
        ("5-10 minutes", "five to ten minutes"),
        ("2 * 3 = 6", "two times three equals six"),
        ("a & b, etc.", "a and b, et cetera."),
        ("e.g. Mr. Roe vs. Mrs. Doe", "for example Mister Roe versus Missus Doe"),
        ("12 Main St. or St. Paul", "twelve Main Street or Saint Paul"),
        ("https://www.example.com/contact-us?x=1", "example dot com slash contact dash us"),
        ("me.too@example.com", "me dot too at example dot com"),
        ("Version 2.5.1 at 192.168.1.1", "Version 2.5.1 at 192.168.1.1"),
        ("**Bold** _it_ `code` ~~gone~~ snake_case", "Bold it code gone snake case"),
        ("<b>tag</b> &amp; [link](http://x.test) [^1]", "tag and link"),
    ],
)  # fmt: skip
def test_what_is_written_in_signs_is_said_in_words(written: str, spoken: str) -> None:
    assert said(written, words=0) == [spoken]


def test_lists_headings_tables_and_code_are_read_as_a_person_would_read_them_out() -> None:
    text = (
        "## Steps\n\n1. Open **the app**\n2. Tap `Go`\n\n- tea\n* milk!\n- [x] cake\n\n> quoted\n\n---\n\n"
        "| Name | Price |\n|------|-------|\n| Tea | $3 |\n\n```python\nx = 1. Then\nprint(x)\n```\nThat is all."
    )
    assert said(text) == [
        "Steps.", "First, Open the app.", "Second, Tap Go.", "tea.", "milk!", "cake.", "quoted", "Name, Price.",
        "Tea, three dollars.", "That is all.",
    ]  # fmt: skip


def test_another_language_keeps_its_numbers_and_loses_its_markup() -> None:
    assert said("**Um 7:30** kostet es 5 €. Gut?", language="de-DE") == ["Um 7:30 kostet es 5 €.", "Gut?"]


@pytest.mark.parametrize(
    ("language", "text", "pieces"),
    [
        ("zh", "你好，我是这里的助手。您想预订几位？九点。", ["你好,我是这里的助手。", "您想预订几位?", "九点。"]),
        ("ja", "はい、営業しております。何名様ですか。", ["はい、営業しております。", "何名様ですか。"]),
        ("ja", "かしこまりました、少々お待ちください。", ["かしこまりました、", "少々お待ちください。"]),
        ("hi", "नमस्ते, मैं क्या करूँ? मैं ठीक हूँ। धन्यवाद।", ["नमस्ते, मैं क्या करूँ?", "मैं ठीक हूँ।", "धन्यवाद।"]),
        ("ar", "كيف يمكنني مساعدتك؟ نحن مفتوحون.", ["كيف يمكنني مساعدتك؟", "نحن مفتوحون."]),
        ("fa", "می\u200cخواهم باشد.", ["می\u200cخواهم باشد."]),
        ("he", "שָׁלוֹם לך.", ["שָׁלוֹם לך."]),
        (
            "de-DE",
            "Am 3. Mai, z. B. für Dr. Müller. Ca. 4 Euro.",
            ["Am 3. Mai,", "z. B. für Dr. Müller.", "Ca. 4 Euro."],
        ),
        ("fr", "Voilà ce qu’il est. M. Dupont arrive.", ["Voilà ce qu’il est.", "M. Dupont arrive."]),
    ],
)
def test_other_languages_are_cut_at_their_own_marks_and_keep_their_letters(
    language: str, text: str, pieces: list[str]
) -> None:
    speech = Speech(language=language, speakable=True, first_words=3)
    assert [piece for character in text for piece in speech.feed(character)] + speech.end() == pieces


def test_verbatim_text_stays_as_the_model_wrote_it() -> None:
    assert said("It is **$5** at 7:30. 😀 Yes!", speakable=False) == ["It is **$5** at 7:30.", "😀 Yes!"]


def test_a_piece_is_given_with_the_first_character_that_makes_it_sure() -> None:
    speech = Speech(language="en", speakable=True, first_words=3)
    assert speech.feed("Let me check that,") == []
    assert speech.feed(" ") == []
    assert speech.feed("o") == ["Let me check that,"]
    assert speech.feed("ne moment! ") == ["one moment!"]
    assert speech.feed("It is 3.") == []
    assert speech.feed("5 meters. ") == []
    assert speech.feed("Good") == ["It is three point five meters."]
    assert speech.end() == ["Good"]


def test_a_sentence_that_the_bound_of_tokens_cut_is_left_out_where_another_was_said() -> None:
    assert said("It is open. You can come at any ti", cut=True) == ["It is open."]
    assert said("It is open. Come.", cut=True) == ["It is open.", "Come."]
    assert said("You can come at any ti", cut=True) == ["You can come at any ti"]
    assert said("If you want to, you can come at any ti", cut=True) == ["If you want to,", "you can come at any ti"]


def test_a_text_without_a_pause_is_cut_at_spaces_and_never_within_a_number() -> None:
    pieces = said("word 5 000 " * 100, speakable=False)
    assert " ".join(pieces) == ("word 5 000 " * 100).strip()
    assert all(len(p) <= LONGEST + 1 for p in pieces)
    assert not any(p.endswith("5") or p.startswith("000") for p in pieces)
    assert all(len(p) <= LONGEST for p in said("x" * 1000, speakable=False))


ALPHABET = st.text(st.sampled_from("ab Z19.,!?;:\n-*#`[]()|>$%…–\"'é😀"), max_size=120)
SENTENCES = st.lists(
    st.sampled_from([
        "Dr. Lee is in.", "It is $1,250.50,", "at 7:30 p.m.", "e.g. this", "1. First\n", "- item\n",
        "```\ncode. x\n```\n", "No. 5", "No.", "On March 3, 2026,", "call 555-123-4567", "Really?!",
        "[a. b](http://x.y/z)", "w" * 150, "… and",
    ]),
    max_size=12,
).map(" ".join)  # fmt: skip


@given(st.one_of(ALPHABET, SENTENCES), st.data())
@settings(max_examples=400, deadline=None)
def test_the_pieces_do_not_depend_on_how_the_text_is_divided(text: str, data: st.DataObject) -> None:
    whole = said(text)
    assert said(*text) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert said(*parts) == whole


@given(st.one_of(ALPHABET, SENTENCES, st.text(max_size=400)))
@settings(max_examples=300, deadline=None)
def test_nothing_of_the_text_is_lost_or_said_twice(text: str) -> None:
    cutter = Cutter(language="en", first_words=3)
    pieces = [c.text for token in text for c in cutter.feed(token)] + [c.text for c in cutter.end()]
    assert re.sub(r"\s", "", "".join(pieces)) == re.sub(r"\s", "", text)
    assert all(p and p == p.strip() for p in pieces)
    assert all(any(c.isalnum() for c in p) for p in said(text))


def test_a_very_long_answer_costs_in_proportion_to_its_length() -> None:
    looked = 0

    class Counting(Cutter):
        def _sure(self) -> int | None:
            nonlocal looked
            looked += len(self._text)
            return super()._sure()

    for text in ("no pause at all " * 4_000, "x" * 64_000, "a, b. " * 10_000):
        cutter, looked = Counting(language="en", first_words=3), 0
        for at in range(0, len(text), 4):
            cutter.feed(text[at : at + 4])
        assert looked < len(text) * LONGEST


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_every_number_has_a_name_of_its_own_that_reads_back(number: int) -> None:
    from echostack.connectors.numbers import number_at
    from echostack.connectors.words import tokenise

    words = cardinal(number)
    assert words == words.strip()
    assert "  " not in words
    if 0 <= number < 1_000_000:
        found = number_at(tokenise(words.replace("-", " ")), 0)
        assert found is not None
        assert found[0] == number


def test_ordinals_and_years_are_said_as_people_say_them() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 12, 20, 21, 100)] == [
        "first", "second", "third", "twelfth", "twentieth", "twenty-first", "one hundredth",
    ]  # fmt: skip
    assert [year(n) for n in (1066, 1900, 1999, 2000, 2010, 2100)] == [
        "one thousand sixty-six", "nineteen hundred", "nineteen ninety-nine", "two thousand", "twenty ten",
        "two thousand one hundred",
    ]  # fmt: skip

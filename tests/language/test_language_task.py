"""The parser against one of another kind, and the list of completions against its own order."""

import pytest
import torch

from lecture_utils.language import task
from lecture_utils.language.task import (
    COMPLETION_TOKENS,
    COMPLETIONS,
    LAST,
    PREFIXES,
    PROMPT_TOKENS,
    PROMPTS,
    completion_index,
    decode,
    encode,
    is_right,
    pairs_reward,
    read,
    reward_table,
)


def right_by_deletion(text):
    """Balanced brackets vanish when pairs that stand side by side are taken out again and again."""
    left, before = text.removesuffix("."), None
    while left != before:
        left, before = left.replace("()", "").replace("[]", ""), left
    return text.endswith(".") and left == ""


def test_the_table_is_the_parser_of_every_text():
    expected = [[float(right_by_deletion(x + y)) for y in COMPLETIONS] for x in PROMPTS]
    assert reward_table().tolist() == expected
    assert reward_table().sum(-1).tolist() == [25, 25, 7, 7, 7, 7, 25, 25, 9, 9]


@pytest.mark.parametrize(
    ("text", "pairs", "still_open", "whole"),
    [("", 0, 0, True), ("([])", 2, 0, True), ("([", 0, 2, True), ("()(", 1, 1, True), ("(]()", 0, 0, False)],
)
def test_reading_stops_at_the_first_wrong_bracket(text, pairs, still_open, whole):
    assert read(text) == (pairs, still_open, whole)
    assert read(text + ".") == (pairs, still_open, whole)


def test_the_imperfect_reward_counts_pairs_and_asks_for_no_end():
    assert [pairs_reward(x) for x in ("(.", "().", "()", "()[]()[]", "()()()()()", "()]()")] == [
        0,
        0.25,
        0.25,
        1,
        1,
        0.25,
    ]
    assert is_right("()()()()") == 0
    assert is_right("()()().") == 1


def test_completions_are_all_that_can_be_written():
    assert len(set(COMPLETIONS)) == len(COMPLETIONS) == 341 + 1024 * 5
    assert all((x.endswith(".") and len(x) <= 6) or len(x) == 6 for x in COMPLETIONS)
    assert all("." not in x[:-1] for x in COMPLETIONS)
    assert PREFIXES[LAST - 1 : LAST + 1] == ("]]]]", "(((((")


def test_prefixes_are_a_tree():
    for i in (0, 1, 7, 100, LAST - 1):
        assert [PREFIXES[4 * i + 1 + k] for k in range(4)] == [PREFIXES[i] + x for x in "()[]"]


def test_the_index_finds_every_completion():
    text = torch.cat([PROMPT_TOKENS[3].expand(len(COMPLETIONS), -1), COMPLETION_TOKENS], dim=-1)
    assert completion_index(text).tolist() == list(range(len(COMPLETIONS)))
    assert completion_index(text[None, :, :]).shape == (1, len(COMPLETIONS))


def test_texts_go_into_numbers_and_back():
    row = encode(["(["], 3, left=True)
    assert row.tolist() == [[task.PAD, 0, 2]]
    assert encode([")."], 3).tolist() == [[1, task.END, task.PAD]]
    assert decode(torch.cat([row[0], encode(["])."], 6)[0]])) == "([])."


@pytest.mark.parametrize("text", ["(a", "((((", None, 5])
def test_other_tokens_are_named(text):
    with pytest.raises(ValueError, match="texts must be strings of at most 3 of"):
        encode([text], 3)

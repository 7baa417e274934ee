# SPDX-License-Identifier: MIT
import counter


def test_counts_words_of_any_case():
    assert counter.count("One two one") == {"one": 2, "two": 1}


def test_nothing_has_no_words():
    assert not counter.count(" \n")

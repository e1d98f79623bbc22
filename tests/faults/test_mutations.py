from collections import Counter

from tests.faults.mutations import MUTATIONS, ROOT


def test_each_mutation_finds_the_one_place_that_it_breaks() -> None:
    found = {mutation.what: (ROOT / mutation.file).read_text().count(mutation.old) for mutation in MUTATIONS}

    assert {what: number for what, number in found.items() if number != 1} == {}
    assert Counter(mutation.what for mutation in MUTATIONS).most_common(1)[0][1] == 1

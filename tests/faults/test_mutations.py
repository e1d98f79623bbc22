import re
from collections import Counter

from tests.faults.mutations import MUTATIONS, ROOT


def test_each_mutation_finds_the_one_place_that_it_breaks() -> None:
    found = {mutation.what: (ROOT / mutation.file).read_text().count(mutation.old) for mutation in MUTATIONS}

    assert {what: number for what, number in found.items() if number != 1} == {}
    assert Counter(mutation.what for mutation in MUTATIONS).most_common(1)[0][1] == 1


def test_the_page_lists_each_mutation() -> None:
    page = (ROOT / "docs/reliability.md").read_text()
    table = page.partition("## Mutations")[2].partition("## Findings")[0]

    listed = re.findall(r"^\| (?!mutation )(.+?) \|", table, re.MULTILINE)
    assert sorted(listed) == sorted(mutation.what for mutation in MUTATIONS)

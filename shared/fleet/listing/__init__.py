"""Lists of chargers: filters, sort orders, pages and totals, at a cost that does not grow with the organization.

Statuses, states, versions, brands, models and placements take few values each. Chargers that agree in all of them form a group and
have the same number in `list_group`, which a trigger keeps. A list finds the organization's groups by jumping from one
number to the next in an index, keeps the groups that its filters match, and merges the first chargers of each: an index
has those in order.
"""

from shared.fleet.listing.counts import count_chargers
from shared.fleet.listing.every import every_charger
from shared.fleet.listing.filters import Filters
from shared.fleet.listing.order import Position, Sort, SortKey
from shared.fleet.listing.pages import list_chargers, read_chargers
from shared.fleet.listing.summary import Summary, summarize, summarize_all

__all__ = [
    "Filters",
    "Position",
    "Sort",
    "SortKey",
    "Summary",
    "count_chargers",
    "every_charger",
    "list_chargers",
    "read_chargers",
    "summarize",
    "summarize_all",
]

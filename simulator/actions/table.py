"""The table: every action by its name."""

from simulator.actions.row import Row
from simulator.actions.rows import (
    cache,
    car,
    configuration,
    connector,
    fault,
    local_list,
    maintenance,
    messages,
    misbehaviour,
    scenario,
    session,
    transaction,
)

MODULES = (
    connector,
    car,
    session,
    transaction,
    fault,
    configuration,
    cache,
    local_list,
    messages,
    maintenance,
    misbehaviour,
    scenario,
)

TABLE: dict[str, Row] = {
    each.name: each for module in MODULES for each in vars(module).values() if isinstance(each, Row)
}

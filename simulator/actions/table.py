"""The table: every action by its name."""

from simulator.actions.row import Row
from simulator.actions.rows import car, connector, fault, misbehaviour, scenario, session

MODULES = (connector, car, session, fault, misbehaviour, scenario)

TABLE: dict[str, Row] = {
    each.name: each for module in MODULES for each in vars(module).values() if isinstance(each, Row)
}

"""Which network profile has its turn, after any order of events."""

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.charge_point.network import Network, NetworkProfile
from simulator.configuration import NETWORK_SLOTS, OPTION_OF_NAME, Options
from simulator.settings import Settings

SLOTS = st.sampled_from(NETWORK_SLOTS)
STEPS = st.one_of(
    st.tuples(st.just("store"), SLOTS, st.integers(0, 2)),
    st.tuples(st.just("prioritize"), st.lists(SLOTS, min_size=1, unique=True)),
    st.sampled_from([("boot",), ("accept",), ("fail",), ("remember",)]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_a_charger_can_always_come_back_and_never_to_a_lower_security_profile(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    """Whatever a CSMS stores: the profile that was accepted last has its turn, and A05 holds."""
    described_by = Settings(identity="CP-1", ws_url="ws://csms")
    options = Options({"security_profile": "0"}, {})
    network, accepted = Network(described_by, options), described_by.ws_url
    for number, step in enumerate(steps):
        match step:
            case ("store", slot, security_profile):
                network.store(NetworkProfile(int(slot), f"ws://csms-{number}", 30.0, security_profile))
            case ("prioritize", slots):
                if network.has_slots(",".join(slots)):
                    options.change(OPTION_OF_NAME["network_priority"], ",".join(slots))
            case ("boot",):
                network.restart()
            case ("accept",):
                network.accept()
                accepted = network.profile.ws_url
            case ("fail",):
                network.end_attempt()
            case _:
                described = network.describe()
                network = Network(described_by, options)
                network.restore(described)
                network.restart()
        assert network.profile.security_profile >= options.number("security_profile")

    turns = set()
    network.restart()
    for _ in range(4 * options.number("network_attempts")):
        turns.add(network.profile.ws_url)
        network.end_attempt()
    assert accepted in turns

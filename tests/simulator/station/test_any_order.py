"""Any order of what a CSMS says: no token starts that it has refused, and no connector is promised twice."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from simulator.charge_point.charge_point import ChargePoint
from simulator.configuration import Options
from simulator.lifecycle import build_charge_point
from simulator.log import EventLog
from simulator.settings import read_settings
from simulator.station.authorization import Authorizer, Decide, TokenInfo
from simulator.station.model import Reservation, Token
from simulator.versions import VERSIONS
from tests.simulator.charger import environment

NAMES = st.sampled_from(["A", "a"])
STATUSES = st.sampled_from(["Accepted", "Blocked"])
SWITCHES = st.sampled_from(["cache_enabled", "local_list_enabled"])


class Tokens(RuleBasedStateMachine):
    """The CSMS can be reached. Its last word counts; of a listed token, the list's (OCPP 1.6 part 1, 3.5.3)."""

    reachable = True

    def __init__(self) -> None:
        super().__init__()
        self.options = Options({}, {})
        self.options.set("local_pre_authorize", "true")
        self.authorizer = Authorizer(self.options, lambda: 0.0, self)
        self.last_words: dict[str, str] = {}
        self.answer = "Accepted"
        self.was_requested = False

    def request_authorization(self, token: Token, then: Decide) -> None:
        self.was_requested = True
        self.say(token.value, self.answer)
        then(TokenInfo(self.answer))

    @rule(name=NAMES, status=STATUSES)
    def say(self, name: str, status: str) -> None:
        """The CSMS answers about a token, whatever the charger has sent."""
        self.last_words[name.lower()] = status
        self.authorizer.remember(Token(name), TokenInfo(status))

    @rule(entries=st.dictionaries(st.sampled_from("ab"), st.none() | STATUSES), full=st.booleans())
    def send_list(self, entries: dict[str, str | None], full: bool) -> None:
        infos = [(name, TokenInfo(status) if status else None) for name, status in entries.items()]
        version = self.authorizer.list_version + 1
        if self.authorizer.update_list(version, infos, full=full) == "Accepted":
            self.last_words |= {name: status or "unknown" for name, status in entries.items()}

    @rule(name=SWITCHES, on=st.booleans())
    def switch(self, name: str, on: bool) -> None:
        self.options.set(name, "true" if on else "false")

    @rule()
    def clear_cache(self) -> None:
        self.authorizer.clear_cache()

    @rule(name=NAMES, answer=STATUSES)
    def show(self, name: str, answer: str) -> None:
        results: list[TokenInfo] = []
        listed = self.authorizer.local_list.get(name.lower())
        counts = listed and self.options.flag("local_list_enabled")
        last_word = listed.status if listed and counts else self.last_words.get(name.lower())
        self.answer, self.was_requested = answer, False

        self.authorizer.authorize(Token(name), results.append)

        (result,) = results
        assert result.status == (answer if self.was_requested else last_word)


TestNoTokenIsAcceptedThatTheCsmsHasRefused = Tokens.TestCase
TestNoTokenIsAcceptedThatTheCsmsHasRefused.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None
)


def test_a_refusal_counts_that_came_while_the_cache_was_off() -> None:
    tokens = Tokens()
    tokens.say("A", "Accepted")
    tokens.switch("cache_enabled", False)
    tokens.say("A", "Blocked")
    tokens.switch("cache_enabled", True)

    tokens.show("A", "Blocked")

    assert tokens.was_requested


CONNECTORS = 3
DRIVERS = st.sampled_from(["A", "B", "C", "D"])
NUMBERS = st.integers(0, CONNECTORS)
STEPS = st.one_of(
    st.tuples(st.just("reserve"), NUMBERS, DRIVERS),
    st.tuples(st.just("cancel"), NUMBERS, DRIVERS),
    st.tuples(st.just("start"), NUMBERS, DRIVERS),
    st.tuples(st.just("plug"), NUMBERS, DRIVERS),
    st.tuples(st.just("unplug"), NUMBERS, DRIVERS),
)
TROUBLE = st.tuples(st.sampled_from(["fault", "repair", "inoperative", "operative"]), NUMBERS, DRIVERS)


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=30, deadline=None)
@given(steps=st.lists(STEPS, max_size=15))
def test_a_reserved_token_can_start_while_nothing_is_out_of_service(
    version: str, steps: list[tuple[str, int, str]]
) -> None:
    """Whoever else starts, and whatever is reserved beside it."""

    async def run() -> None:
        charger = ReservingCharger(version)
        for step in steps:
            charger.take(*step)
            charger.check_reserved_tokens()

    asyncio.run(run())


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=30, deadline=None)
@given(steps=st.lists(STEPS | TROUBLE, max_size=15))
def test_there_are_never_more_reservations_than_connectors_in_service(
    version: str, steps: list[tuple[str, int, str]]
) -> None:
    async def run() -> None:
        charger = ReservingCharger(version)
        for step in steps:
            charger.take(*step)
            charger.check_count()

    asyncio.run(run())


class ReservingCharger:
    """Has no CSMS; the steps come in its stead."""

    def __init__(self, version: str) -> None:
        log = EventLog(lambda _: None)
        environ = environment("ws://csms", version, connectors=CONNECTORS, ev_plug_in_s=0)
        self.model: ChargePoint = build_charge_point(read_settings(environ), log)
        self.station = self.model.station
        self.model.power_on()
        self.model.registration.status, self.model.online = "Accepted", True

    def take(self, kind: str, number: int, name: str) -> None:
        connector = self.station.connector(number) or self.station.connectors[0]
        level = [connector] if number else self.station.connectors
        match kind:
            case "reserve":
                self._reserve(number, name)
            case "cancel":
                self.station.reservations.cancel(ord(name))
            case "start":
                chosen = self.station.sessions.choose_connector(Token(name), number or None)
                if chosen:
                    self.station.sessions.start_remotely(chosen, Token(name), None, check=False)
            case "plug":
                self.station.cable.plug(connector)
            case "unplug":
                self.station.cable.unplug(connector)
            case "fault" | "repair":
                self.station.availability.set_fault(connector, "OtherError" if kind == "fault" else None)
            case _:
                self.station.availability.set_operative(level, "EVSE", kind == "operative")

    def _reserve(self, number: int, name: str) -> None:
        reservations = self.station.reservations
        before = dict(reservations.by_id)
        expires_at = self.model.clock.now() + 600
        status = reservations.reserve(Reservation(ord(name), number, Token(name), None, expires_at))
        if status != "Accepted":
            assert reservations.by_id == before
            return
        free = {c.number for c in self.station.connectors if c.is_free and not c.plugged}
        assert not number or number in free
        taken = {r.connector_number for r in reservations.by_id.values()}
        assert sum(r.connector_number == 0 for r in reservations.by_id.values()) <= len(free - taken)

    def check_reserved_tokens(self) -> None:
        for reservation in self.station.reservations.by_id.values():
            number = reservation.connector_number or None
            assert self.station.sessions.choose_connector(reservation.token, number)

    def check_count(self) -> None:
        in_service = {c.number for c in self.station.connectors if not c.is_out_of_service}
        numbers = [r.connector_number for r in self.station.reservations.by_id.values()]
        own = [number for number in numbers if number]
        assert len(numbers) <= len(in_service)
        assert set(own) <= in_service
        assert len(own) == len(set(own))

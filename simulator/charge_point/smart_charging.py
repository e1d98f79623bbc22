"""Smart charging, as far as the OCPP versions share it: installed profiles and composite schedules."""

from collections.abc import Iterable

from simulator.charge_point.charge_point import ChargePoint
from simulator.charge_point.charging_profiles import ProfileRefused, read_profile, refuse_if
from simulator.link.frames import Payload
from simulator.station.model import Connector
from simulator.station.smart_charging.composite import Composite, compose
from simulator.station.smart_charging.profile import Profile
from simulator.station.smart_charging.profiles import Outlook
from simulator.station.transactions import next_transaction

#: A composite schedule is put together in one turn of the event loop. It ends after 100 days at the latest, or when
#: so many installed profiles have been evaluated for it, each once per change (some 15 ms).
MAX_DURATION_S = 100 * 86_400
MAX_EVALUATIONS = 6_000


class SmartCharging(ChargePoint):
    def check_profile(self, given: Payload) -> None:
        """Raises ProfileRefused for what only this OCPP version refuses, wherever the profile comes from."""

    def profiles_replaced_by(self, profile: Profile) -> list[Profile]:
        """The installed ones whose place it takes. Raises ProfileRefused if another one is in its way."""
        return [each for each in self.station.profiles if each.id == profile.id]

    def install_profile(self, given: Payload, connector_number: int, transaction_id: str | None) -> None:
        """Installs a profile as the CSMS sent it. Raises ProfileRefused; then nothing has changed."""
        self.check_profile(given)
        now, electrics = self.clock.now(), self.station.electrics
        profile = read_profile(given, connector_number, transaction_id, electrics=electrics, received_at=now)
        self._check_limits(profile)
        expired = [each for each in self.station.profiles if each.valid_to <= now]
        replaced = self.profiles_replaced_by(profile) + [each for each in expired if each.id != profile.id]
        max_profiles, installed = self.options.number("max_profiles"), len(self.station.profiles)
        is_full = installed - len(replaced) >= max_profiles
        refuse_if(is_full, "TooManyElements", f"{max_profiles} profiles are installed")
        self.station.profiles.replace(replaced, profile)
        self.keep_state()

    def _check_limits(self, profile: Profile) -> None:
        max_level, max_periods = self.options.number("max_stack_level"), self.options.number("max_periods")
        has_level = 0 <= profile.stack_level <= max_level
        refuse_if(not has_level, "InvalidStackLevel", f"the stack level is not 0 to {max_level}")
        has_too_many = len(profile.periods) > max_periods
        refuse_if(has_too_many, "TooManyElements", f"more than {max_periods} periods")

    def install_profile_of_start(self, request: Payload, connector: Connector) -> None:
        """Installs the profile of a remote start, if it has one, for the transaction that will begin.

        It is a TxProfile without a transactionId (OCPP 1.6 part 1, 5.16.2; 2.0.1 F01.FR.09, .10). Raises ProfileRefused.
        """
        if "chargingProfile" not in request:
            return
        given = request["chargingProfile"]
        is_tx_profile = given["chargingProfilePurpose"] == "TxProfile"
        refuse_if(not is_tx_profile, "InvalidProfile", "a start has a TxProfile, and no other")
        refuse_if("transactionId" in given, "InvalidProfile", "there is no transaction yet: no transactionId")
        self.install_profile(given, connector.number, next_transaction(connector))

    def take_profile_of_start(self, request: Payload, connector: Connector) -> str | None:
        try:
            self.install_profile_of_start(request, connector)
        except ProfileRefused as refused:
            return str(refused)
        return None

    def set_profile(self, given: Payload, connector_number: int, transaction_id: str | None) -> None:
        """Installs the profile and applies it. Raises ProfileRefused."""
        self.install_profile(given, connector_number, transaction_id)
        self.station.energy.update_power()

    def remove_profiles(self, profiles: Iterable[Profile]) -> Payload:
        removed = list(profiles)
        self.station.profiles.remove(removed)
        self.station.energy.update_power()
        self.keep_state()
        return {"status": "Accepted" if removed else "Unknown"}

    def composite_schedule(self, connector_number: int, start: int, request: Payload) -> Payload:
        """From `start` on, in the unit and for the duration of the request. Raises ProfileRefused.

        An idle connector counts as one that begins to charge then (OCPP 2.0.1 K08.FR.06). Connector 0 has what all
        connectors may draw together (K08.FR.03; 1.6 part 1, 5.7).
        """
        connector = self.station.connector(connector_number)
        refuse_if(connector is None and connector_number != 0, "UnknownEvse", "there is no such connector")
        refuse_if(request["duration"] <= 0, "ValuePositiveOnly", "the duration is not above 0")
        outlook = self._outlook(connector, start)
        composite = compose(
            outlook.limit_at,
            start,
            min(request["duration"], MAX_DURATION_S),
            max_periods=self.options.number("max_periods"),
            max_changes=max(MAX_EVALUATIONS // outlook.evaluated, 1),
        )
        return self._describe_composite(composite, request.get("chargingRateUnit", "W"))

    def _outlook(self, connector: Connector | None, idle_start: float) -> Outlook:
        if connector is None:
            return self.station.profiles.outlook_of_charger(self.station.connectors, idle_start)
        return self.station.profiles.outlook(connector, self.station.energy.sharing(connector), idle_start)

    def _describe_composite(self, composite: Composite, unit: str) -> Payload:
        electrics = self.station.electrics
        periods = []
        for start_s, power_w, phases in composite.periods:
            limit = power_w if unit == "W" else electrics.amperes(power_w, phases)
            period: Payload = {"startPeriod": start_s, "limit": round(limit, 1)}
            periods.append(period if electrics.is_dc else period | {"numberPhases": phases})
        return {
            "duration": composite.duration_s,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        }

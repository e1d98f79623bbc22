"""Which CSMS the charger connects to: that of its settings, or of a network profile that a CSMS has stored."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from simulator.configuration import NETWORK_SLOTS, Options
from simulator.settings import Settings

State = dict[str, Any]

#: The first wait, the largest random part, and the longest wait without it.
RetrySeconds = tuple[float, float, float]

#: The profile of the settings is in the first slot.
SETTINGS_SLOT = int(NETWORK_SLOTS[0])


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    slot: int
    ws_url: str
    call_timeout_s: float
    security_profile: int


class Network:
    """Chooses the profile of each connection by NetworkConfigurationPriority (OCPP 2.0.1, B09 and B10).

    A changed priority or profile counts from the next boot on. After NetworkProfileConnectionAttempts the next profile has
    its turn; the last one that a CSMS accepted the charger with is always among them.
    """

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._own = self._of_settings()
        self._has_moved = False
        self._profiles = {SETTINGS_SLOT: self._own}
        self._accepted = self._own
        self._turns = [self._own]
        self._failures = 0
        self._is_accepted = False

    @property
    def profile(self) -> NetworkProfile:
        """The one of the present connection, or of the next attempt."""
        return self._turns[0]

    def settings(self) -> Settings:
        """The settings with the values of the profile in use, and of the RetryBackOff variables that were set."""
        settings, profile = self._settings, self.profile
        retry_seconds = self._retry_seconds()
        own = (settings.ws_url, settings.call_timeout_s, None)
        if (profile.ws_url, profile.call_timeout_s, retry_seconds) == own:
            return settings
        wait_s, random_s, longest_s = retry_seconds or _retry_seconds_of(settings)
        return replace(
            settings,
            ws_url=profile.ws_url,
            call_timeout_s=profile.call_timeout_s,
            retry_wait_s=wait_s,
            retry_random_s=random_s,
            retry_max_s=longest_s + random_s,
        )

    def follow(self) -> None:
        """After the settings have changed: another CSMS in them takes the place of all that a CSMS has stored."""
        old = self._own
        if self._settings.ws_url != old.ws_url:
            self._options.reset("network_priority", "security_profile")
            self._has_moved = True
        own = self._of_settings()
        if own != old:
            self._own = self._accepted = own
            self._profiles, self._turns = {SETTINGS_SLOT: own}, [own]
            self._failures = 0

    def _of_settings(self) -> NetworkProfile:
        settings, profile = self._settings, self._options.number("security_profile")
        return NetworkProfile(SETTINGS_SLOT, settings.ws_url, settings.call_timeout_s, profile)

    def has_slots(self, slots: str) -> bool:
        """Whether each slot of a comma-separated list has a profile, none below the security profile (A05.FR.02)."""
        return {slot.strip() for slot in slots.split(",")} <= {
            str(profile.slot) for profile in self._usable()
        }

    def store(self, profile: NetworkProfile) -> None:
        self._profiles[profile.slot] = profile

    def restart(self) -> None:
        """At a boot the first profile of the priority list has its turn."""
        usable = {str(profile.slot): profile for profile in self._usable()}
        turns = [usable[slot] for slot in self._options.members("network_priority") if slot in usable]
        self._turns = turns if self._accepted in turns else [*turns, self._accepted]
        self._failures = 0

    def accept(self) -> bool:
        """The CSMS of the profile in use has accepted the charger. True when the last one was another.

        A higher security profile replaces the lower one for good (A05.FR.06 and .07).
        """
        self._is_accepted = True
        self._failures = 0
        is_other, self._accepted = self.profile != self._accepted, self.profile
        security_profile = self.profile.security_profile
        if security_profile > self._options.number("security_profile"):
            self._options.set("security_profile", security_profile)
            self._turns = [each for each in self._turns if each.security_profile >= security_profile]
            slots = [slot for slot in self._options.members("network_priority") if self.has_slots(slot)]
            self._options.set("network_priority", ",".join(slots))
        return is_other

    def end_attempt(self) -> bool:
        """After each connection, and each failure to connect. True when another CSMS has its turn now."""
        was_accepted, self._is_accepted = self._is_accepted, False
        if self._has_moved:
            self._has_moved = False
            return True
        if was_accepted:
            return False
        self._failures += 1
        if self._failures < self._options.number("network_attempts") or len(self._turns) == 1:
            return False
        self._failures = 0
        self._turns.append(self._turns.pop(0))
        return True

    def describe(self) -> State:
        """For the state file."""
        return {
            "ws_url": self._settings.ws_url,
            "profiles": [asdict(each) for each in self._profiles.values() if each is not self._own],
            "accepted": None if self._accepted is self._own else asdict(self._accepted),
        }

    def restore(self, state: State) -> None:
        """Restores the profiles, unless the settings name another CSMS by now: then that one counts."""
        if state.get("ws_url") != self._settings.ws_url:
            self._options.reset("network_priority", "security_profile")
            return
        for each in state["profiles"]:
            self.store(NetworkProfile(**each))
        if state["accepted"]:
            self._accepted = NetworkProfile(**state["accepted"])

    def _usable(self) -> list[NetworkProfile]:
        lowest = self._options.number("security_profile")
        return [each for each in self._profiles.values() if each.security_profile >= lowest]

    def _retry_seconds(self) -> RetrySeconds | None:
        """None: as the settings have them.

        The settings may be fractions of a second; a variable that differs from their whole number was set.
        """
        settings, options = self._settings, self._options
        changed = {name for name, text in retry_options(settings).items() if options.text(name) != text}
        if not changed:
            return None
        wait_s, random_s, longest_s = _retry_seconds_of(settings)
        if "retry_random_s" in changed:
            random_s = options.number("retry_random_s")
        if changed - {"retry_random_s"}:
            wait_s = options.number("retry_wait_s")
            longest_s = wait_s * 2 ** options.number("retry_doublings")
        return wait_s, random_s, longest_s


def _retry_seconds_of(settings: Settings) -> RetrySeconds:
    return settings.retry_wait_s, settings.retry_random_s, settings.retry_max_s - settings.retry_random_s


def retry_options(settings: Settings) -> dict[str, str]:
    """The RetryBackOff variables as the settings have them, in whole seconds."""
    longest_s = settings.retry_max_s - settings.retry_random_s
    growth = longest_s / settings.retry_wait_s if settings.retry_wait_s else 1.0
    return {
        "retry_wait_s": str(max(math.ceil(settings.retry_wait_s), 1)),
        "retry_random_s": str(math.ceil(settings.retry_random_s)),
        "retry_doublings": str(math.ceil(math.log2(max(growth, 1.0)))),
    }

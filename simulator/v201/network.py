"""OCPP 2.0.1: the network profiles that a CSMS stores (B09)."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from simulator.charge_point.common_requests import ACCEPTED, CommonRequests
from simulator.charge_point.network import NetworkProfile
from simulator.charge_point.translation import handles
from simulator.configuration import NETWORK_SLOTS
from simulator.link.frames import Payload
from simulator.settings import BadSettings, check_ws_url
from simulator.v201.answers import rejected

#: The longest time for an answer that a profile may give, in seconds.
MAX_TIMEOUT_S = 3600


class Network201(CommonRequests):
    @handles("SetNetworkProfile")
    def _set_network_profile(self, payload: Payload) -> Payload:
        """Stores the profile for a later boot, or says why not (B09.FR.01, .02 and .04)."""
        slot, data = payload["configurationSlot"], payload["connectionData"]
        refusal = next(self._refusals(slot, data), None)
        if refusal:
            return rejected(*refusal)
        profile = NetworkProfile(
            slot, data["ocppCsmsUrl"], float(data["messageTimeout"]), data["securityProfile"]
        )
        self.network.store(profile)
        self.keep_state()
        return ACCEPTED

    def _refusals(self, slot: int, data: Payload) -> Iterator[tuple[str, str]]:
        """Reason codes and sentences; the appendix of part 2 has the codes."""
        if str(slot) not in NETWORK_SLOTS:
            yield "ValueOutOfRange", f"the slots are {', '.join(NETWORK_SLOTS)}"
        if (data["ocppVersion"], data["ocppTransport"]) != ("OCPP20", "JSON"):
            yield "UnsupportedParam", "this charger speaks OCPP 2.0.1 over JSON"
        if "apn" in data or "vpn" in data:
            yield "UnsupportedParam", "this charger has no mobile network and no VPN"
        if not 0 < data["messageTimeout"] <= MAX_TIMEOUT_S:
            yield "ValueOutOfRange", f"messageTimeout is from 1 to {MAX_TIMEOUT_S} s"
        yield from self._security_refusals(data["securityProfile"])
        yield from self._url_refusals(data["ocppCsmsUrl"], data["securityProfile"])

    def _security_refusals(self, profile: int) -> Iterator[tuple[str, str]]:
        if not 0 <= profile <= 2:
            yield "UnsupportedParam", "this charger has the security profiles 0 to 2"
        if profile < self.options.number("security_profile"):
            yield "NoSecurityDowngrade", "the security profile would be lower than the present one"
        if profile > 0 and not self.password:
            yield "MissingDevModelInfo", "BasicAuthPassword has no value"

    def _url_refusals(self, url: str, profile: int) -> Iterator[tuple[str, str]]:
        """The operator's rules count for a CSMS's URL as for any other; each address is checked again when it is used."""
        try:
            parts = urlsplit(check_ws_url("ocppCsmsUrl", url))
        except BadSettings as error:
            yield "InvalidURL", str(error)
            return
        if self.settings.destinations.refuse_host(parts.hostname or ""):
            yield "InvalidURL", "no charger may connect to this host here"
        if (parts.scheme == "wss") != (profile == 2):
            yield "InvalidURL", "wss:// is for security profile 2, ws:// for 0 and 1"

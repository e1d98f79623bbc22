"""Where a charger may connect to: addresses at which no CSMS is, and what the operator allows and denies.

shared/destinations.py and simulator/destinations.py are the same file, letter by letter, because the charger is an image
of its own: the API checks a URL when it is given, and the charger each address when it connects.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_LENGTH = 2048  # of a ws_url in its normal form
MAX_ENTRIES = 100  # of each list: a task definition has at most 64 KiB

#: Names for many networks at once.
PRESETS: dict[str, tuple[str, ...]] = {
    "all": ("0.0.0.0/0", "::/0"),
    # What is not of the public internet: IANA's special-purpose registries (RFC 6890).
    "private": (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/127",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
    ),
}
#: Forbidden whatever the operator says. The credentials of a machine or of an ECS task are read at link-local addresses
#: (169.254.169.254, 169.254.170.2), and at those of fd00:ec2::/32.
NEVER = tuple(
    ip_network(each)
    for each in (
        *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"),
        *("::/128", "fd00:ec2::/32", "fe80::/10", "ff00::/8"),
    )
)
LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(\*\.)?({_LABEL}\.)*{_LABEL}")

# Prefixes of IPv6 addresses whose last 32 bits are an IPv4 address.
_WRAPPING = tuple(
    IPv6Network(each)
    for each in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)


class BadRule(ValueError):
    """An entry of a list is no network, address, host name or preset. The message names it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Some networks and some names."""

    networks: tuple[Network, ...]
    names: frozenset[str]  #: `*.example.com` stands for what ends with .example.com

    def has_name(self, host: str) -> bool:
        labels = host.split(".")
        parents = {"*." + ".".join(labels[number:]) for number in range(1, len(labels))}
        return host in self.names or not self.names.isdisjoint(parents)

    def has_address(self, address: Address) -> bool:
        return any(address in network for network in self.networks)

    @property
    def has_everything(self) -> bool:
        return {ip_network(each) for each in PRESETS["all"]} <= set(self.networks)


@dataclass(frozen=True, slots=True)
class Destinations:
    """What `deny` names is refused, except what `allow` names."""

    allow: Rules
    deny: Rules

    @property
    def restricted(self) -> bool:
        """Whether the operator says anything at all."""
        return bool(self.deny.networks or self.deny.names)

    def refuse_host(self, host: str) -> bool:
        """Whether it is certain, before its name is resolved, that nothing may connect to this host of a URL."""
        host = _plain(host)
        try:
            return self.refuse_address(host, ip_address(host))
        except ValueError:
            pass
        if host == "localhost" or host.endswith(".localhost"):
            return all(self.refuse_address(host, address) for address in LOOPBACK)
        return self._refuse_name(host) or (
            self.deny.has_everything and not self.allow.networks and not self.allow.has_name(host)
        )

    def refuse_address(self, host: str, address: Address) -> bool:
        """Whether nothing may connect to this address, which the host's name led to."""
        host = _plain(host)
        forms = forms_of(address)
        if any(form in network for form in forms for network in NEVER) or self._refuse_name(host):
            return True
        return not self.allow.has_name(host) and any(
            self.deny.has_address(form) and not self.allow.has_address(form) for form in forms
        )

    def _refuse_name(self, host: str) -> bool:
        return self.deny.has_name(host) and not self.allow.has_name(host)


OPEN = Destinations(
    allow=Rules((), frozenset()), deny=Rules((), frozenset())
)  # refuses what nobody may reach


def read_destinations(allow: str, deny: str) -> Destinations:
    """From the comma-separated lists. Without a list of what is denied, a list of what is allowed is all there is.

    Raises BadRule.
    """
    allowed, denied = _split(allow), _split(deny)
    return Destinations(_read(allowed), _read(denied or (["all"] if allowed else [])))


def _split(text: str) -> list[str]:
    entries = [entry for entry in (each.strip() for each in text.split(",")) if entry]
    if len(entries) > MAX_ENTRIES:
        raise BadRule(f"a list has at most {MAX_ENTRIES} entries")
    return entries


def _read(entries: Iterable[str]) -> Rules:
    networks: list[Network] = []
    names: set[str] = set()
    for entry in entries:
        word = entry.lower()
        if word in PRESETS:
            networks += map(ip_network, PRESETS[word])
        elif (network := _network(word)) is not None:
            networks.append(network)
        elif _NAME.fullmatch(_plain(word)) and not word.rstrip(".").rpartition(".")[2].isdigit():
            names.add(_plain(word))
        else:
            raise BadRule(f"{entry!r} is no network, address, host name or {' or '.join(PRESETS)}")
    return Rules(tuple(networks), frozenset(names))


def _network(word: str) -> Network | None:
    try:
        return ip_network(word.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def forms_of(address: Address) -> list[Address]:
    """The address, and the IPv4 addresses that it wraps. One that is only another spelling is left out itself."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    wrapped = [address.sixtofour, *(address.teredo or ())]
    number = int(address)
    if number > 1 and any(address in network for network in _WRAPPING):
        wrapped.append(IPv4Address(number & 0xFFFFFFFF))
    return [address, *(each for each in wrapped if each is not None)]


def _plain(host: str) -> str:
    return host.lower().rstrip(".").removeprefix("[").removesuffix("]")

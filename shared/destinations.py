"""Decides where a charger may connect to: by addresses that no CSMS has, and by what the operator allows and denies.

The API checks a URL when a client sends it, and the charger checks each address when it connects. The charger is an image
of its own, so shared/destinations.py and simulator/destinations.py are two copies of this file. A test compares them.
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
    # Networks outside the public internet: IANA's special-purpose registries (RFC 6890).
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
#: Always forbidden. AWS serves the credentials of a machine or of an ECS task at link-local addresses (169.254.169.254,
#: 169.254.170.2) and in fd00:ec2::/32.
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
    """An entry of a list is not a network, address, host name or preset. The message names it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The networks and names of one list."""

    networks: tuple[Network, ...]
    names: frozenset[str]  #: `*.example.com` matches every name that ends with .example.com

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
    """Refuses the destinations in `deny` that are not in `allow`."""

    allow: Rules
    deny: Rules

    @property
    def restricted(self) -> bool:
        """Whether the operator denies anything."""
        return bool(self.deny.networks or self.deny.names)

    def refuse_host(self, host: str) -> bool:
        """Whether a URL's host is refused for certain, before its name is resolved."""
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
        """Whether an address is refused that the host's name resolved to."""
        host = _plain(host)
        forms = forms_of(address)
        if any(form in network for form in forms for network in NEVER) or self._refuse_name(host):
            return True
        return not self.allow.has_name(host) and any(
            self.deny.has_address(form) and not self.allow.has_address(form) for form in forms
        )

    def _refuse_name(self, host: str) -> bool:
        return self.deny.has_name(host) and not self.allow.has_name(host)


#: Without rules of the operator. Refuses only the networks in NEVER.
OPEN = Destinations(allow=Rules((), frozenset()), deny=Rules((), frozenset()))


def read_destinations(allow: str, deny: str) -> Destinations:
    """Reads the comma-separated lists. If only `allow` has entries, everything else is denied. Raises BadRule."""
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
    """The address and the IPv4 addresses that it wraps; of an IPv4-mapped address only the IPv4 address."""
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

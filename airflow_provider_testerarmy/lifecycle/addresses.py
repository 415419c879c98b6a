"""Which addresses a worker may fetch a picture from: none inside its own network, in any spelling."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv6 networks that stand for an IPv4 address in their last four bytes: NAT64 (RFC 6052 and 8215), and the
#: deprecated IPv4-compatible addresses.
_EMBEDDING: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))


class NotCopied(Exception):
    """A picture that is left where it is, and why."""


def check_host(host: str) -> None:
    """Refuse a host that is an address inside, in any spelling that the system's resolver takes for one.

    A name passes here: what it resolves to is checked when it is connected to.

    :raises NotCopied: saying why.
    """
    if f".{host.lower().removesuffix('.')}".endswith(".localhost"):
        raise NotCopied("the host is inside this network")
    address = literal(host)
    if address and is_inside(address):
        raise NotCopied("the host is inside this network")


def check_address(address: str, *, here: bool) -> None:
    """Refuse to connect to an address inside.

    :param here: whether this machine's loopback is what is wanted, and nothing else.
    :raises NotCopied: saying why, without the address: a picture must not map this network.
    """
    found = literal(address)
    if found is None or (not found.is_loopback if here else is_inside(found)):
        raise NotCopied("the host is inside this network")


def literal(host: str) -> Address | None:
    """The address that a host is, or None for a name.

    `127.1`, `0x7f000001`, `017700000001` and `2130706433` are all 127.0.0.1 to the system's resolver.
    """
    bare = host.strip("[]").removesuffix(".").partition("%")[0]
    for read in (ipaddress.ip_address, lambda text: ipaddress.IPv4Address(socket.inet_aton(text))):
        try:
            return read(bare)
        except (OSError, ValueError):
            continue
    return None


def is_inside(address: Address) -> bool:
    """Whether an address is not one of the public Internet, itself or by the IPv4 address in it."""
    if isinstance(address, ipaddress.IPv6Address):
        return _not_public(address) or any(map(_not_public, _embedded(address)))
    return _not_public(address)


def _not_public(address: Address) -> bool:
    # Before Python 3.13 an IPv4-mapped address is judged as an IPv6 one.
    plain = (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
    return not plain.is_global or plain.is_multicast


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _EMBEDDING):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]

"""Protection against server-side request forgery: a worker fetches no screenshot from inside its own network."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv6 networks whose last four bytes are an IPv4 address: NAT64 (RFC 6052 and 8215), and the
#: deprecated IPv4-compatible addresses.
_EMBEDDING: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))


class NotCopied(Exception):
    """A screenshot that is not copied; the message says why."""


def check_host(host: str) -> None:
    """Refuse a host that is an internal address, in any spelling that the system's resolver accepts.

    A name passes here. :func:`check_address` checks the address that it resolves to, when the client connects.

    :raises NotCopied: for an internal address, and for ``localhost`` and names below it.
    """
    # RFC 6761, section 6.3: names below "localhost" are loopback addresses, so no resolver is needed.
    if f".{host.lower().removesuffix('.')}".endswith(".localhost"):
        raise NotCopied("the host is inside this network")
    address = literal(host)
    if address and is_inside(address):
        raise NotCopied("the host is inside this network")


def check_address(address: str, *, here: bool) -> None:
    """Refuse to connect to an internal address.

    :param here: True allows this machine's loopback and nothing else.
    :raises NotCopied: without the address. Otherwise the service could map this network by the messages.
    """
    found = literal(address)
    if found is None or (not found.is_loopback if here else is_inside(found)):
        raise NotCopied("the host is inside this network")


def literal(host: str) -> Address | None:
    """The address that a host is written as, None for a name.

    The system's resolver reads `127.1`, `0x7f000001`, `017700000001` and `2130706433` as 127.0.0.1.
    """
    # ``inet_aton`` accepts what the resolver accepts; ``ipaddress`` accepts only the canonical spelling.
    bare = host.strip("[]").removesuffix(".").partition("%")[0]
    for read in (ipaddress.ip_address, lambda text: ipaddress.IPv4Address(socket.inet_aton(text))):
        try:
            return read(bare)
        except (OSError, ValueError):
            continue
    return None


def is_inside(address: Address) -> bool:
    """Whether an address, or an IPv4 address embedded in it, is not on the public Internet."""
    if isinstance(address, ipaddress.IPv6Address):
        return _not_public(address) or any(map(_not_public, _embedded(address)))
    return _not_public(address)


def _not_public(address: Address) -> bool:
    # Before Python 3.13, ``is_global`` of an IPv4-mapped address ignores the IPv4 address in it.
    # https://docs.python.org/3/library/ipaddress.html#ipaddress.IPv6Address.ipv4_mapped
    plain = (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
    return not plain.is_global or plain.is_multicast


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _EMBEDDING):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]

"""Internal addresses are refused in every spelling."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.lifecycle.addresses import (
    NotCopied,
    check_address,
    check_host,
    is_inside,
    literal,
)

INSIDE = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "[::1]",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:a00:1",
    "::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "127.0.0.1.",
]


@pytest.mark.parametrize("host", INSIDE)
def test_an_address_inside_is_refused(host):
    """In every spelling that the system's resolver accepts as an address."""
    assert is_inside(literal(host))
    with pytest.raises(NotCopied, match="inside"):
        check_host(host)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "a.LocalHost."])
def test_a_name_of_this_machine_is_refused(host):
    """Without a name lookup (RFC 6761, section 6.3)."""
    with pytest.raises(NotCopied, match="inside"):
        check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "8.8.2056",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2606:4700::1111",
        "example.com",
        "mylocalhost",
    ],
)
def test_what_is_outside_may_be_asked(host):
    """The address of a name is checked when the client connects."""
    check_host(host)


@pytest.mark.parametrize(
    ("address", "here", "allowed"),
    [
        ("8.8.8.8", False, True),
        ("10.0.0.1", False, False),
        ("127.0.0.1", False, False),
        ("fe80::1%eth0", False, False),
        ("no address", False, False),
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("10.0.0.1", True, False),
        ("8.8.8.8", True, False),
    ],
)
def test_which_address_is_connected_to(address, here, allowed):
    """Loopback is allowed only if the service itself runs there, and then nothing else is."""
    try:
        check_address(address, here=here)
    except NotCopied:
        assert not allowed
    else:
        assert allowed

"""Which proxy a request goes through, by the environment variables that other programs obey too. Pure.

`HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` name one, in capitals or not; `NO_PROXY` lists hosts that are reached
directly. This machine is always reached directly. No file with passwords (`.netrc`) is read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from assistant.errors import ConfigInvalid

_PORTS = {"http": 80, "https": 443}


def find_proxy(url: str, environment: Mapping[str, str]) -> str | None:
    """The URL of the proxy for requests to `url`; None where they go directly.

    Raises `ConfigInvalid` (`proxy_invalid`) where the variable holds no URL of an HTTP proxy.

    >>> find_proxy("https://api.example.com/v1", {"HTTPS_PROXY": "http://proxy:3128"})
    'http://proxy:3128'
    >>> find_proxy("https://api.example.com/v1", {"https_proxy": "proxy:3128", "NO_PROXY": "example.com"}) is None
    True
    """
    to = urlsplit(url)
    if to.hostname is None or _is_here(to.hostname):
        return None
    _, spared = _variable("no_proxy", environment)
    if _is_spared(to, spared):
        return None
    for variable in (f"{to.scheme}_proxy", "all_proxy"):
        name, given = _variable(variable, environment)
        if given:
            return _checked(name, given)
    return None


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The name and value of a variable; small letters come first, as in curl."""
    if environment.get(name, "").strip():
        return name, environment[name].strip()
    return name.upper(), environment.get(name.upper(), "").strip()


def _checked(name: str, given: str) -> str:
    whole = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:  # without its value, which may hold a password
        raise ConfigInvalid(f"{name} must be like http://proxy.example.com:3128", code="proxy_invalid")
    return whole


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def _is_spared(to: SplitResult, spared: str) -> bool:
    """Whether a list of hosts, domains, addresses and networks has a URL's host."""
    host = (to.hostname or "").lower().rstrip(".")
    try:
        port = to.port or _PORTS.get(to.scheme)
    except ValueError:
        port = None
    address = _address(host)
    for entry in spared.lower().replace(",", " ").split():
        if entry == "*":
            return True
        name, only = _split_port(entry)
        if only is not None and only != port:
            continue
        if address is not None:
            if _holds(name, address):
                return True
        else:
            domain = name.removeprefix("*").strip(".")
            if domain and (host == domain or host.endswith(f".{domain}")):
                return True
    return False


def _split_port(entry: str) -> tuple[str, int | None]:
    """An entry of the list and the port that it is for; None: every port.

    >>> _split_port("example.com:8443"), _split_port("[::1]:80"), _split_port("fd00::/8")
    (('example.com', 8443), ('::1', 80), ('fd00::/8', None))
    """
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, int(rest[1:]) if rest[1:].isdecimal() else None
    name, _, port = entry.rpartition(":")
    return (name, int(port)) if name and ":" not in name and port.isdecimal() else (entry, None)


def _holds(name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None

"""`X-Twilio-Signature`: proof that Twilio opens this socket, from the URL and the account's auth token.

https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

_SEPARATORS = re.compile(r"[\s,]+")


def sign(url: str, token: str) -> str:
    """The signature of a request without a body: HMAC-SHA1 of its URL, in base64.

    >>> sign("wss://example.com/v1/twilio", "12345")
    'ccJICYO7KLiZoW8QqJxo8M1ytBM='
    """
    digest = hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def signed_urls(base: str, path: str) -> Iterator[str]:
    """Each URL that Twilio may have signed, which is as the app wrote it: with or without port and last slash.

    >>> list(signed_urls("https://example.com", "/calls"))[:3]
    ['wss://example.com/calls', 'wss://example.com/calls/', 'wss://example.com:443/calls']
    >>> sorted(signed_urls("ws://[::1]:8080/attune/", "/v1/twilio"))[0]
    'ws://[::1]/attune/v1/twilio'
    """
    split = urlsplit(base)
    scheme = split.scheme.replace("http", "ws")
    host = re.sub(r":\d+\Z", "", split.netloc)
    path, mark, query = f"{split.path.rstrip('/')}{path}".partition("?")
    for where in dict.fromkeys((split.netloc, host, f"{host}:{443 if scheme == 'wss' else 80}")):
        for way in (path, path.removesuffix("/") if path.endswith("/") else f"{path}/"):
            yield f"{scheme}://{where}{way}{mark}{query}"


def is_signed(signature: str, urls: Iterable[str], tokens: str) -> bool:
    """Whether one of the tokens (several while one takes the place of another) signed one of the URLs.

    >>> urls = ["wss://example.com/v1/twilio"]
    >>> is_signed(sign(urls[0], "new"), urls, "new, old"), is_signed(sign(urls[0], "stolen"), urls, "new,old")
    (True, False)
    >>> is_signed("", urls, "new")
    False
    """
    expected = [sign(url, token) for url in urls for token in _SEPARATORS.split(tokens) if token]
    found = [hmac.compare_digest(signature.encode("utf-8", "replace"), each.encode()) for each in expected]
    return any(found)

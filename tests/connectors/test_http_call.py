"""What connectors that speak HTTP share: addresses."""

from __future__ import annotations

import re

import pytest

from echostack.connectors.http_call import check_url


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", "base_url takes an address that begins with http:// or https:// and a host"),
        (
            "http://me:secret@host",
            "base_url holds a user or password: give them as a header, {Authorization: {env: NAME}}",
        ),
        ("http://a b", "base_url holds a space or a control character: write it percent-encoded"),
        ("http://host:99999", "base_url has a port that is no number up to 65535"),
    ],
)
def test_a_wrong_address_is_told_by_the_name_of_its_setting(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_url(address, "base_url")

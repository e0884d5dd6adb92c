"""Countries and their numbers for sale, none of which belongs to anybody.

Every kind has a hundred numbers, below a prefix that the country reserves for fiction, if there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Country", "Offer", "friendly", "offers", "stocked"]


@dataclass(frozen=True)
class Country:
    """A country: ``prefixes`` by kind; ``sms`` and ``number`` are US dollars for a message and a month."""

    iso: str
    name: str
    prefixes: dict[str, str]
    sms: str
    number: str = "1.15"
    needs: str = "none"  # of an address, to buy
    bundle: bool = False  # of documents, to buy


COUNTRIES = {
    country.iso: country
    for country in (
        Country("US", "United States", {"local": "+120255501", "toll_free": "+180055501"}, "0.0083"),
        Country("CA", "Canada", {"local": "+160455501", "toll_free": "+183355501"}, "0.0083"),
        Country(
            "GB",
            "United Kingdom",
            {
                "local": "+4420794601",
                "mobile": "+4477009001",
                "toll_free": "+4480815701",
                "national": "+4430699901",
                "voip": "+4456000001",
                "shared_cost": "+4484300001",
                "machine_to_machine": "+4477009002",
            },
            "0.0524",
        ),
        Country("DE", "Germany", {"mobile": "+4915255501"}, "0.1047", "15.00", bundle=True),
        Country("FR", "France", {"local": "+331990001"}, "0.0798", needs="any"),
        Country("AU", "Australia", {"mobile": "+6149157001"}, "0.0515", "6.50"),
    )
}
# The places of US numbers, for the filters by place.
_PLACE = {
    "region": "DC",
    "locality": "Washington",
    "postal_code": "20001",
    "rate_center": "WSHNGTNZN1",
    "lata": "236",
    "latitude": "38.900000",
    "longitude": "-77.030000",
}


@dataclass(frozen=True)
class Offer:
    """A number for sale."""

    number: str
    country: Country
    kind: str

    @property
    def capabilities(self) -> dict[str, bool]:
        return {"voice": True, "sms": self.kind != "shared_cost", "mms": self.country.iso in ("US", "CA")}

    def view(self) -> dict[str, Any]:
        american = self.country.iso == "US" and self.kind == "local"
        place = _PLACE if american else dict.fromkeys(_PLACE)
        return {
            "address_requirements": self.country.needs,
            "beta": False,
            "capabilities": self.capabilities,
            "friendly_name": friendly(self.number),
            "iso_country": self.country.iso,
            "phone_number": self.number,
            **place,
        }


def friendly(number: str) -> str:
    """Format a number of North America like ``(202) 555-0143``; leave others unchanged."""
    if number.startswith("+1") and len(number) == 12:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number


def offers(country: Country, kind: str, area_code: int | str | None = None) -> Iterator[Offer]:
    """List a country's numbers for sale of one kind and one area code."""
    prefix = country.prefixes[kind]
    if area_code is not None and prefix.startswith("+1"):
        prefix = f"+1{area_code}55501"
    for number in range(100):
        yield Offer(f"{prefix}{number:02d}", country, kind)


def stocked(number: str) -> Offer | None:
    """Find the offer of a number; every area code of the US has some."""
    for country in COUNTRIES.values():
        for kind, prefix in country.prefixes.items():
            if number.startswith(prefix) and len(number) == len(prefix) + 2:
                return Offer(number, country, kind)
    if number.startswith("+1") and len(number) == 12 and number[5:10] == "55501":
        return Offer(number, COUNTRIES["US"], "local")
    return None

"""The sandbox's Docket account: test blueprints and their categories, with fixed ids."""

from __future__ import annotations

from dataclasses import dataclass

# One blueprint per possible course of a run.
BLUEPRINT_PASSES = 181
BLUEPRINT_FAILS = 182
BLUEPRINT_STOPPED = 183
BLUEPRINT_RETRIED = 184
BLUEPRINT_RETRIED_IN_VAIN = 185
BLUEPRINT_ENDLESS = 186
BLUEPRINT_UNKNOWN_STATUS = 187
BLUEPRINT_SPARSE = 188
BLUEPRINT_HOSTILE = 189
BLUEPRINT_FLAKY = 190
BLUEPRINT_HUGE = 191
BLUEPRINT_PASSED_WITH_FAILED_STEP = 192
BLUEPRINT_ERROR = 193
BLUEPRINT_NEEDS_LOGIN = 194

# The other tests of the regression; all of them pass.
BLUEPRINT_LOGIN = 201
BLUEPRINT_CART = 202
BLUEPRINT_ORDERS = 203

CATEGORY_REGRESSION = 11
CATEGORY_CHECKOUT = 12
CATEGORY_EMPTY = 13
CATEGORY_LOAD = 14

UNKNOWN_BLUEPRINT = 999_999
"""A valid id that no blueprint and no category has."""


def bulk_blueprint_id(number: int) -> int:
    """Return the id of the generated blueprint `number` (1 to 250) of `CATEGORY_LOAD`."""
    return 10_000 + number


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A saved test (Docket's "blueprint").

    :param script: the name of the script that its runs follow.
    :param seconds: the duration of one of Docket's attempts, in sandbox seconds.
    :param ballast: the bytes that each step's recorded page adds to `blueprint_metadata`.
    :param login: the blueprint that signs in first; it gets its own run in the same group run.
    """

    id: int
    title: str
    script: str = "passes"
    seconds: float = 8.0
    path: str = "/"
    ballast: int = 2_000
    login: int | None = None


BLUEPRINTS = {
    blueprint.id: blueprint
    for blueprint in (
        Blueprint(BLUEPRINT_PASSES, "Search finds a product", path="/search"),
        Blueprint(BLUEPRINT_FAILS, "Checkout with a credit card", "fails", 11.0, "/checkout"),
        Blueprint(BLUEPRINT_STOPPED, "Wish list survives a logout", "stopped", path="/wishlist"),
        Blueprint(BLUEPRINT_RETRIED, "Delivery slot can be chosen", "retried", 9.0, "/checkout"),
        Blueprint(BLUEPRINT_RETRIED_IN_VAIN, "Refund of a paid order", "retried_in_vain", path="/orders"),
        Blueprint(BLUEPRINT_ENDLESS, "Infinite scroll of the catalogue", "endless", path="/products"),
        Blueprint(BLUEPRINT_UNKNOWN_STATUS, "Live chat with the support", "unknown_status", path="/support"),
        Blueprint(BLUEPRINT_SPARSE, "Imprint is reachable", "sparse", 6.0, "/imprint"),
        Blueprint(BLUEPRINT_HOSTILE, "Product reviews are shown as text", "hostile", path="/reviews"),
        Blueprint(BLUEPRINT_FLAKY, "Live stock badge updates", "flaky", path="/products/7"),
        Blueprint(BLUEPRINT_HUGE, "Every page of the shop", path="/sitemap", ballast=500_000),
        Blueprint(
            BLUEPRINT_PASSED_WITH_FAILED_STEP,
            "Voucher lowers the total",
            "passed_with_failed_step",
            path="/cart/voucher",
        ),
        Blueprint(BLUEPRINT_ERROR, "Invoice can be downloaded", "error", path="/orders/invoice"),
        Blueprint(
            BLUEPRINT_NEEDS_LOGIN, "Account page shows the address", path="/account", login=BLUEPRINT_LOGIN
        ),
        Blueprint(BLUEPRINT_LOGIN, "Customer can sign in", seconds=7.0, path="/login"),
        Blueprint(BLUEPRINT_CART, "Cart keeps its items", seconds=9.0, path="/cart"),
        Blueprint(BLUEPRINT_ORDERS, "Order history lists the last order", seconds=11.0, path="/orders"),
        *(
            Blueprint(bulk_blueprint_id(number), f"Catalogue page {number}", seconds=6.0 + number % 14)
            for number in range(1, 251)
        ),
    )
}

CATEGORIES: dict[int, tuple[int, ...]] = {
    CATEGORY_REGRESSION: (BLUEPRINT_LOGIN, BLUEPRINT_PASSES, BLUEPRINT_CART, BLUEPRINT_ORDERS),
    CATEGORY_CHECKOUT: (BLUEPRINT_PASSES, BLUEPRINT_FAILS, BLUEPRINT_RETRIED),
    CATEGORY_EMPTY: (),
    CATEGORY_LOAD: tuple(bulk_blueprint_id(number) for number in range(1, 251)),
}

"""Customers and their cards."""

from __future__ import annotations

from random import Random

from payments.models import Customer, PaymentMethod

from .clock import HOUR, NEVER, Clock
from .names import BRANDS
from .people import SETTLING_IN, People
from .sheets import NULL, Sheets
from .tokens import hexadecimal


class Customers:
    """Writes the customer of each user who pays, with one card or two."""

    def __init__(self, sheets: Sheets, people: People, clock: Clock, rng: Random) -> None:
        self.people, self.clock, self.rng = people, clock, rng
        self.customers = sheets.of(Customer, "id user_id stripe_customer_id created_at")
        self.methods = sheets.of(
            PaymentMethod,
            "id customer_id stripe_payment_method_id brand last4 exp_month exp_year fingerprint is_default"
            " created_at detached_at",
        )

    def write(self, number: int) -> None:
        """A customer, the day after signing up at the latest; an erased account keeps its cards, as payments do."""
        people, clock = self.people, self.clock
        added = people.signup[number] + 1 + number % 40 * 600
        if not people.pays(number) or added + SETTLING_IN >= min(clock.end, people.gone[number]):
            return
        customer_id = people.customer[number] = self.customers.next_id()
        self.customers.add(f"{customer_id}\t{people.id(number)}\tcus_{hexadecimal(self.rng, 14)}\t{clock.at(added)}\n")
        ready = added + SETTLING_IN
        switch = ready + (clock.end - ready) // 2 if number % 6 == 0 else NEVER
        people.switch[number] = switch
        # Half of those who take a new card remove the old one.
        removed = clock.at(switch) if switch < NEVER and number % 12 == 0 else NULL
        people.method[number] = self._write_card(customer_id, number, added, removed, is_default=switch == NEVER)
        if switch < NEVER:
            people.next_method[number] = self._write_card(customer_id, number + 1, switch - HOUR, NULL, is_default=True)

    def _write_card(self, customer_id: int, turn: int, added: int, removed: str, *, is_default: bool) -> int:
        method_id = self.methods.next_id()
        brand, last4 = BRANDS[turn % len(BRANDS)]
        expires = self.clock.as_of.year - 1 + turn % 6
        self.methods.add(
            f"{method_id}\t{customer_id}\tpm_{hexadecimal(self.rng, 24)}\t{brand}\t{last4}\t{1 + turn % 12}\t"
            f"{expires}\t{hexadecimal(self.rng, 16)}\t{'t' if is_default else 'f'}\t{self.clock.at(added)}\t{removed}\n"
        )
        return method_id

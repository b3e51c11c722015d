"""The arithmetic of slices: one reservation out of which a process grants many calls. Pure, as the book is.

A slice is an open reservation that grows when it is topped up and shrinks when calls that have ended are booked. What
is left of it belongs to nobody else, so whoever holds it may grant calls from memory, and no call needs a row of its
own; if it dies, the sweep books the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import Struct

from policies.book import Book, Move, Moves, Order, Refused, Reservation, refusal, take
from policies.limits import Charge

SHARE = 16
"""What nobody waits for yet is at most this part of what the budgets leave: other processes want some, too."""


@dataclass(frozen=True, slots=True)
class Topped:
    """What a slice grew by, and for each call that waits why it is refused (`None`: it is granted)."""

    added: int
    verdicts: tuple[Refused | None, ...]


class Draw(Struct, frozen=True):
    """What calls of a slice that have ended cost, and what of the slice they need no longer."""

    slice: str
    number: int
    """Counts from 1 in each slice: one that is booked already, or was, is not booked again."""
    spent: int
    amount: int


def top_up(book: Book, order: Order, needs: tuple[int, ...], spare: int) -> Topped:
    """Grows the slice of the order's name, or begins it: by as many of `needs`, in their order, as every budget
    allows, and by up to `spare` for calls to come. The order's own amount is not looked at."""
    known = book.known(order.id)
    if known is not None and known.state != "open":
        return Topped(0, (Refused("closed", known.id, 0, None),) * len(needs))
    left = _left(book, order)
    total, verdicts = 0, list[Refused | None]()
    whys: dict[tuple[int, int], Refused] = {}  # thousands may be refused for the same reason, and rows are locked
    for need in needs:
        if left is None or total + need <= left:
            total += need
            verdicts.append(None)
        else:
            why = whys.get((total, need))
            if why is None:
                why = whys[total, need] = _why(book, order, total, need)
            verdicts.append(why)
    if left is not None:
        rest = (left - total) // SHARE
        spare = spare if spare <= rest else rest if rest >= max(needs, default=0) else 0
    if known is not None or total + spare:
        _grow(book, replace(order, amount=total + max(spare, 0)), known)
    return Topped(total + max(spare, 0), tuple(verdicts))


def draw(book: Book, drawn: Draw) -> Moves | None:
    """Books calls of a slice, once; what a slice that has ended held for them it has given back already."""
    known = book.known(drawn.slice)
    if known is None or known.tokens >= drawn.number:
        return None
    known.tokens = drawn.number
    return _shrink(book, known, drawn.amount if known.state in ("open", "swept") else 0, drawn.spent)


def give_back(book: Book, slice_id: str, amount: int, until: float) -> Moves | None:
    """Returns a part of a slice that nobody was granted, and keeps the rest until a later moment."""
    known = book.known(slice_id)
    if known is None or known.state != "open":
        return None
    known.until = max(known.until, until)
    return _shrink(book, known, amount, 0)


def _shrink(book: Book, known: Reservation, amount: int, spent: int) -> Moves:
    """Takes `amount` out of a slice, of which `spent` is spent; of a slice that was swept it had been spent before."""
    moves, new = [], spent if known.state == "open" else spent - amount
    for bucket, start, _ in known.booked:
        account = book.account((bucket, start))
        before = account.spent
        account.spent += new
        if known.state == "open":
            account.held -= amount
        book.changed[bucket, start] = account
        moves.append(Move(bucket, start, before, account.spent))
    known.amount -= amount
    known.cost = (known.cost or 0) + new
    book.reservations[known.id] = known
    return tuple(moves)


def _grow(book: Book, order: Order, known: Reservation | None) -> None:
    for charge in order.charges:
        account = book.account(charge.account)
        take(order, charge, account)
        account.running -= known is not None  # a slice counts as one call, however often it grows
        book.changed[account.bucket, account.start] = account
    if known is None:
        booked = tuple((charge.bucket, charge.start, 0) for charge in order.charges)
        known = Reservation(order.id, "open", 0, 0, None, order.now, order.until, order.price, booked)
    known.amount += order.amount
    known.until = max(known.until, order.until)
    book.reservations[order.id] = known


def _left(book: Book, order: Order) -> int | None:
    """What the tightest hard budget leaves; `None` if there is none."""
    return min((left for charge in order.charges if (left := _room(book, charge)) is not None), default=None)


def _room(book: Book, charge: Charge) -> int | None:
    if charge.limit is None or not charge.limit.hard:
        return None
    account = book.account(charge.account)
    return charge.limit.amount - account.spent - account.held


def _why(book: Book, order: Order, total: int, need: int) -> Refused:
    """The refusal of the tightest budget, as it would be if the calls before were granted already."""
    tightest = min(order.charges, key=lambda charge: _order(_room(book, charge)))
    account = replace(book.account(tightest.account), held=book.account(tightest.account).held + total)
    refused = refusal(replace(order, amount=need), tightest, account)
    assert refused is not None
    return refused


def _order(room: int | None) -> float:
    return float("inf") if room is None else room

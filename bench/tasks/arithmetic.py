"""Arithmetic: from one sum to word problems of several steps; the answer is one number."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

from bench.tasks.base import Check, Template
from bench.tasks.checks import number

Item = tuple[str, Check]
PEOPLE = ("Ana", "Ben", "Chidi", "Dina", "Emil", "Farah", "Goran", "Hana")
GOODS = ("notebooks", "candles", "mugs", "lamps", "puzzles", "scarves")


def add(random: Random) -> Item:
    a, b = random.randint(20, 999), random.randint(20, 9999)
    return f"What is {a} + {b}?", number(a + b)


def multiply(random: Random) -> Item:
    a, b = random.randint(6, 99), random.choice([7, 13, 48, 127, 384])
    return f"Compute {a} * {b}. Answer with the number only.", number(a * b)


def divide(random: Random) -> Item:
    b, result = random.randint(4, 60), random.randint(7, 200)
    return f"Divide {b * result} by {b}.", number(result)


def remainder(random: Random) -> Item:
    a, b = random.randint(100, 5000), random.randint(6, 37)
    return f"What remainder is left when {a} is divided by {b}? Just the number please.", number(a % b)


def expression(random: Random) -> Item:
    a, b, c, d = (random.randint(2, 30) for _ in range(4))
    return f"Evaluate ({a} + {b}) * {c} - {d} * {a}. Give only the result.", number((a + b) * c - d * a)


def power(random: Random) -> Item:
    base, exponent = random.choice([(2, 10), (3, 5), (7, 4), (12, 3), (5, 6), (11, 4), (2, 15)])
    return f"What's {base} to the power of {exponent}? Just the number.", number(base**exponent)


def fractions(random: Random) -> Item:
    a, b = Fraction(random.randint(1, 7), random.randint(2, 9)), Fraction(random.randint(1, 7), random.randint(2, 12))
    return f"Add the fractions {a} and {b}. Write the sum as one fraction in lowest terms, nothing else.", number(a + b)


def percent(random: Random) -> Item:
    rate, whole = random.choice([5, 12, 15, 35, 60, 85]), random.randint(2, 45) * 20
    return f"What is {rate}% of {whole}?", number(Fraction(rate * whole, 100))


def discount(random: Random) -> Item:
    price, off, tax = random.randint(2, 30) * 10, random.choice([10, 20, 25, 40]), random.choice([5, 10, 20])
    total = Fraction(price) * (100 - off) / 100 * (100 + tax) / 100
    return (
        f"A coat costs ${price}. It is reduced by {off}%, and then {tax}% sales tax is added. How many dollars are "
        f"paid "
        "in the end? Work briefly and finish with a line 'Answer: <number>'.",
        number(total, 0.006),
    )


def shopping(random: Random) -> Item:
    who, what = random.choice(PEOPLE), random.choice(GOODS)
    count, price, paid = random.randint(3, 9), random.randint(2, 12), random.choice([150, 200])
    return (
        f"{who} buys {count} {what} at {price} dollars each and pays with {paid} dollars. How much change does {who} "
        f"get? "
        "Reply with the amount only.",
        number(paid - count * price),
    )


def sharing(random: Random) -> Item:
    one, two = random.sample(PEOPLE, 2)
    first, factor, given = random.randint(12, 40), random.randint(2, 5), random.randint(3, 11)
    return (
        f"{one} has {first} marbles. {two} has {factor} times as many. {two} gives {given} marbles to {one} and then "
        f"loses {given + 2}. How many marbles do they have together now? Think in short steps, then write 'Answer: "
        f"<number>'.",
        number(first * (factor + 1) - given - 2),
    )


def distance(random: Random) -> Item:
    speed, minutes, other = random.choice([40, 60, 80, 90]), random.choice([30, 45, 90, 150]), random.randint(5, 40)
    return (
        f"A train runs at {speed} km/h for {minutes} minutes and then another {other} km. What distance does it cover "
        f"in "
        "total, in kilometres? Be short and end with 'Answer: <number>'.",
        number(Fraction(speed * minutes, 60) + other),
    )


def work(random: Random) -> Item:
    a, b = random.choice([(3, 6), (4, 12), (6, 12), (10, 15), (20, 30), (5, 20)])
    return (
        f"One pump empties a tank in {a} hours, another pump needs {b} hours. How many hours do both together need? "
        "One line of working, then 'Answer: <number>'.",
        number(Fraction(a * b, a + b)),
    )


def mean(random: Random) -> Item:
    items = [random.randint(2, 60) for _ in range(random.choice([3, 4, 6]))]
    items[0] += -sum(items) % len(items)
    return f"Find the mean of {', '.join(map(str, items))}. Be brief.", number(Fraction(sum(items), len(items)))


def common(random: Random) -> Item:
    a, b, factor = random.randint(4, 30), random.randint(4, 30), random.randint(2, 9)
    return f"What is the greatest common divisor of {a * factor} and {b * factor}?", number(math.gcd(a, b) * factor)


def series(random: Random) -> Item:
    start, step, count = random.randint(1, 9), random.randint(2, 7), random.randint(6, 30)
    total = sum(start + step * i for i in range(count))
    return (
        f"An auditorium has {count} rows. The first row has {start} seats and every further row has {step} more than "
        f"the row "
        "before it. How many seats are there in all? Short working, then 'Answer: <number>'.",
        number(total),
    )


def clock(random: Random) -> Item:
    hour, minute, later = random.randint(6, 11), random.choice([5, 20, 35, 50]), random.randint(2, 19) * 25
    total = later + hour * 60 + minute
    return (
        f"How many minutes pass from {hour}:{minute:02d} to {total // 60}:{total % 60:02d} on the same day (24-hour "
        f"clock)? Number only.",
        number(later),
    )


def units(random: Random) -> Item:
    big, factor, small = random.choice([
        ("hours", 3600, "seconds"), ("kilometres", 1000, "metres"), ("days", 1440, "minutes"), ("weeks", 168, "hours"),
        ("square metres", 10000, "square centimetres"),
    ])  # fmt: skip
    count = Fraction(random.randint(3, 30), 2)
    return f"Convert {float(count):g} {big} to {small}. Number only.", number(count * factor)


def interest(random: Random) -> Item:
    amount, rate = random.choice([1000, 2000, 5000, 8000]), random.choice([5, 10, 20])
    years = random.choice([2, 3])
    return (
        f"I put ${amount} into an account with {rate}% interest a year, compounded yearly. How many dollars are in it "
        f"after {years} years? Short working, then 'Answer: <number>'.",
        number(Fraction(amount) * Fraction(100 + rate, 100) ** years, 0.006),
    )


def pages(random: Random) -> Item:
    who, daily, days, rest = random.choice(PEOPLE), random.randint(8, 25), random.randint(4, 12), random.randint(20, 90)
    return (
        f"{who} reads {daily} pages on every weekday and twice as many on each Saturday and Sunday. After {days} full "
        f"weeks {rest} pages of the series are left. How many pages does the series have? Two or three short steps, "
        "then 'Answer: <number>'.",
        number(daily * 9 * days + rest),
    )


TEMPLATES: dict[str, Template] = {
    "add": add, "multiply": multiply, "divide": divide, "remainder": remainder, "expression": expression,
    "power": power,
    "fractions": fractions, "percent": percent, "discount": discount, "shopping": shopping, "sharing": sharing,
    "distance": distance, "work": work, "mean": mean, "common": common, "series": series, "clock": clock,
    "units": units,
    "interest": interest, "pages": pages,
}  # fmt: skip

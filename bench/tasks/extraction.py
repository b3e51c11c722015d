"""Extraction: a short text in, a JSON object with stated fields out; scored field by field."""

from __future__ import annotations

from random import Random
from typing import Any

from bench.tasks.base import Check, Template
from bench.tasks.checks import fields

MAX_TOKENS = 140

FIRST = ("Maria", "Omar", "Lena", "Viktor", "Aiko", "Pedro", "Noor", "Ingrid")
LAST = ("Santos", "Haddad", "Keller", "Novak", "Tanaka", "Lima", "Rahman", "Berg")
CITIES = ("Lisbon", "Oslo", "Graz", "Nagoya", "Porto", "Leeds", "Malmö", "Quito")
GOODS = ("desk lamp", "office chair", "water bottle", "keyboard", "tent", "blender", "rain coat")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August")
MAKERS = ("Norvik", "Altera Foods", "Kestrel", "Bluefin Labs", "Sunmill")


def draw(random: Random) -> dict[str, Any]:
    """Values that the texts may use."""
    first, last = random.choice(FIRST), random.choice(LAST)
    day, month = random.randint(1, 28), random.randint(1, 8)
    city, other = random.sample(CITIES, 2)
    return {
        "first": first, "last": last, "name": f"{first} {last}", "age": random.randint(19, 78), "city": city,
        "other": other,
        "email": f"{first}.{last}@example.com".lower(), "phone": f"555-{random.randint(1000, 9999)}",
        "item": random.choice(GOODS), "count": random.randint(2, 12), "price": random.randint(300, 9900) / 100,
        "date": f"2024-{month:02d}-{day:02d}", "day": f"{MONTHS[month - 1]} {day}, 2024",
        "number": random.randint(1000, 9999),
        "hour": random.randint(8, 20), "minute": random.choice((5, 15, 40, 55)), "maker": random.choice(MAKERS),
        "year": random.randint(1951, 2019), "degrees": random.randint(-9, 34), "percent": random.randint(20, 90),
        "kilos": random.randint(3, 60) / 2, "yes": random.choice((True, False)),
    }  # fmt: skip


Spec = tuple[str, str, dict[str, Any]]
"""The text, what each field is (with types), and the right object as keys to values or names of drawn values."""

SPECS: dict[str, Spec] = {
    "person": ("{name} is {age} years old and lives in {city}.", "name (string), age (number), city (string)",
               {"name": "name", "age": "age", "city": "city"}),
    "contact": ("You can reach {name} by mail at {email} or call {phone}.",
                "first_name, last_name, email, phone (all strings)",
                {"first_name": "first", "last_name": "last", "email": "email", "phone": "phone"}),
    "order": ("Order {number}: {name} wants {count} pieces of the {item} at {price} euros each, to be sent to {city}.",
              "order (number), customer (string), item (string), quantity (number), unit_price (number)",
              {"order": "number", "customer": "name", "item": "item", "quantity": "count", "unit_price": "price"}),
    "event": ("Don't forget: the concert in {city} starts at {hour}:{minute:02d} on {day}.",
              "event (string), city (string), date (string, YYYY-MM-DD), time (string, HH:MM)",
              {"event": ["concert"], "city": "city", "date": "date", "time": "time"}),
    "flight": ("Flight LX{number} goes from {city} to {other} and leaves on {day}.",
               "flight (string), origin (string), destination (string), date (string, YYYY-MM-DD)",
               {"flight": "flight", "origin": "city", "destination": "other", "date": "date"}),
    "company": ("{maker} was founded in {year} by {name} in {city} and employs {number} people today.",
                "company (string), founded (number), founder (string), employees (number)",
                {"company": "maker", "founded": "year", "founder": "name", "employees": "number"}),
    "weather": ("{city} today: {degrees} degrees, {percent} percent humidity, with light rain.",
                "city (string), temperature (number), humidity (number), condition (string, two words)",
                {"city": "city", "temperature": "degrees", "humidity": "percent", "condition": ["light rain"]}),
    "invoice": ("Invoice {number} of {maker}, dated {day}, total {price} dollars, due in {count} days.",
                "invoice_number (number), supplier (string), date (string, YYYY-MM-DD), total (number), due_days "
                "(number)",
                {"invoice_number": "number", "supplier": "maker", "date": "date", "total": "price",
                 "due_days": "count"}),
    "missing": ("My name is {first} and I am calling from {city}. I forgot my customer number.",
                "first_name (string), city (string), customer_number (number, or null if it is not given)",
                {"first_name": "first", "city": "city", "customer_number": [None]}),
    "boolean": ("Room {count}: {price} dollars a night, breakfast is {included}, pets are not allowed.",
                "room (number), price (number), breakfast_included (boolean), pets_allowed (boolean)",
                {"room": "count", "price": "price", "breakfast_included": "yes", "pets_allowed": [False]}),
    "people_list": ("{first}, Carla and Mateo meet in {city} at {hour} o'clock.",
                    "people (array of strings), city (string), hour (number)",
                    {"people": "three", "city": "city", "hour": "hour"}),
    "parcel": ("The parcel weighs {kilos} kg and goes from {name} in {city} to a shop in {other}.",
               "weight_kg (number), sender (string), from_city (string), to_city (string)",
               {"weight_kg": "kilos", "sender": "name", "from_city": "city", "to_city": "other"}),
    "ticket_total": ("{count} tickets at {hour} dollars each were sold to {name}.",
                     "tickets (number), price_each (number), total (number, tickets times price), buyer (string)",
                     {"tickets": "count", "price_each": "hour", "total": "product", "buyer": "name"}),
    "address": ("Please ship to {name}, {count} Mill Road, {city}, postcode {number}.",
                "name (string), street (string with house number), city (string), postcode (string)",
                {"name": "name", "street": "street", "city": "city", "postcode": "code"}),
    "recipe": ("For {count} people take {percent} grams of rice, cook it for {hour} minutes and add an onion.",
               "servings (number), rice_grams (number), minutes (number), extra (string, one word)",
               {"servings": "count", "rice_grams": "percent", "minutes": "hour", "extra": ["onion"]}),
    "book": ("'The Glass Orchard' by {name}, published by {maker} in {year}, has {number} pages.",
             "title (string), author (string), publisher (string), year (number), pages (number)",
             {"title": ["The Glass Orchard"], "author": "name", "publisher": "maker", "year": "year",
              "pages": "number"}),
    "log": ("{date} {hour:02d}:{minute:02d} ERROR disk full on host srv-{count} (code {number})",
            "date (string, YYYY-MM-DD), time (string, HH:MM), level (string), host (string), code (number)",
            {"date": "date", "time": "time", "level": ["ERROR"], "host": "host", "code": "number"}),
    "distractor": ("{name}, who moved from {city} to {other} in {year}, now works there for {maker}, not for Orbis any "
                   "more.",
                   "person (string), current_city (string), employer (string), moved_in (number)",
                   {"person": "name", "current_city": "other", "employer": "maker", "moved_in": "year"}),
    "words_to_numbers": ("{first} ordered a dozen eggs, half a dozen rolls and two litres of milk.",
                         "customer (string), eggs (number), rolls (number), milk_litres (number)",
                         {"customer": "first", "eggs": [12], "rolls": [6], "milk_litres": [2]}),
    "change": ("The rent in {city} rose from {number} to {dearer} euros in {year}.",
               "city (string), old_rent (number), new_rent (number), increase (number), year (number)",
               {"city": "city", "old_rent": "number", "new_rent": "dearer", "increase": "rise", "year": "year"}),
}  # fmt: skip


def derived(drawn: dict[str, Any]) -> dict[str, Any]:
    """Values that follow from those drawn."""
    return {
        **drawn,
        "time": f"{drawn['hour']:02d}:{drawn['minute']:02d}",
        "flight": f"LX{drawn['number']}",
        "included": "included" if drawn["yes"] else "not included",
        "three": [drawn["first"], "Carla", "Mateo"],
        "product": drawn["count"] * drawn["hour"],
        "street": f"{drawn['count']} Mill Road",
        "code": str(drawn["number"]),
        "host": f"srv-{drawn['count']}",
        "rise": drawn["percent"],
        "dearer": drawn["number"] + drawn["percent"],
    }


FRAMES = (
    "Extract a JSON object with exactly these fields: {fields}. Reply with the JSON only.\nText: {text}",
    "{text}\n\nTurn the text above into JSON with the fields {fields}. No other fields, no explanation.",
    "Read this text and fill in a JSON object.\nFields: {fields}\nText: {text}\nGive the JSON object and nothing else.",
    "Which values does this text give? Text: {text}\nAnswer as one JSON object with the keys {fields}.",
)


def template(spec: Spec, frame: str) -> Template:
    """A template that fills one text and asks for its fields."""
    text, described, wanted = spec

    def make(random: Random) -> tuple[str, Check]:
        drawn = derived(draw(random))
        goal = {key: source[0] if isinstance(source, list) else drawn[source] for key, source in wanted.items()}
        return frame.format(fields=described, text=text.format(**drawn)), fields(goal)

    return make


TEMPLATES: dict[str, Template] = {
    topic: template(spec, FRAMES[place % len(FRAMES)]) for place, (topic, spec) in enumerate(SPECS.items())
}

"""Facts: general knowledge with a short answer, from what everybody knows to what few do."""

from __future__ import annotations

from random import Random

from bench.tasks.base import Check, Template
from bench.tasks.checks import name, number

MAX_TOKENS = 60

QUESTIONS = {
    "capital": "What is the capital of {}?",
    "currency": "Which currency is used in {}? Name it briefly.",
    "symbol": "What is the chemical symbol of {}? Reply with the symbol only.",
    "element": "Which chemical element has the atomic number {}?",
    "author": "Who wrote {}?",
    "painter": "Who painted {}? Name only.",
    "composer": "Name the composer of {}.",
    "continent": "On which continent is {}? One or two words.",
    "language": "What is the main official language of {}?",
    "river": "Which river flows through {}?",
    "inventor": "Who is usually credited with {}? Give one name.",
    "planet": "Which planet of the solar system {}?",
    "organ": "Which organ of the human body {}? One word.",
    "unit": "What is the SI unit of {}? Just the unit's name.",
    "young_animal": "What is a young {} called? One word.",
    "mythology": "In mythology, who is {}? Answer with the name.",
    "first_person": "Who was {}? Answer with a name.",
    "acronym": "What does the abbreviation {} stand for?",
}

ANSWERS = {
    "capital": "France=Paris; Australia=Canberra; Burkina Faso=Ouagadougou; Mongolia=Ulaanbaatar|Ulan Bator; "
    "Canada=Ottawa; Kazakhstan=Astana|Nur-Sultan; Paraguay=Asuncion|Asunción; Bhutan=Thimphu; Norway=Oslo",
    "currency": "Japan=yen; Poland=zloty|złoty; Thailand=baht; Vietnam=dong|đồng; Bangladesh=taka; Hungary=forint; "
    "Switzerland=franc; Ghana=cedi; India=rupee",
    "symbol": "sodium=Na; gold=Au; tungsten=W; antimony=Sb; potassium=K; tin=Sn; mercury=Hg; iron=Fe; lead=Pb",
    "element": "1=hydrogen; 6=carbon; 79=gold; 26=iron; 50=tin; 36=krypton; 8=oxygen; 47=silver; 92=uranium",
    "author": "'Pride and Prejudice'=Austen; '1984'=Orwell; 'The Trial'=Kafka; 'One Hundred Years of "
    "Solitude'=Márquez|Marquez; "
    "'Buddenbrooks'=Mann; 'Things Fall Apart'=Achebe; 'Don Quixote'=Cervantes; 'Dead Souls'=Gogol; "
    "'Moby-Dick'=Melville",
    "painter": "the Mona Lisa=Leonardo|da Vinci; 'The Starry Night'=Gogh; 'Guernica'=Picasso; 'The Night "
    "Watch'=Rembrandt; "
    "'The Garden of Earthly Delights'=Bosch; 'The Kiss' (1908)=Klimt; 'Las Meninas'=Velázquez|Velazquez; "
    "'The Birth of Venus'=Botticelli; 'The Scream'=Munch",
    "composer": "the opera 'Carmen'=Bizet; 'The Four Seasons'=Vivaldi; the ballet 'Swan Lake'=Tchaikovsky; "
    "the opera 'The Magic Flute'=Mozart; 'Boléro'=Ravel; 'The Planets'=Holst; the opera 'Aida'=Verdi; "
    "'Peer Gynt'=Grieg; 'The Rite of Spring'=Stravinsky",
    "continent": "Egypt=Africa; Nepal=Asia; Suriname=South America; Portugal=Europe; Lesotho=Africa; Belize=North "
    "America|"
    "Central America; Laos=Asia; Moldova=Europe; Ecuador=South America",
    "language": "Brazil=Portuguese; Iran=Persian|Farsi; Austria=German; Suriname=Dutch; Angola=Portuguese; "
    "Mexico=Spanish; "
    "Egypt=Arabic; Senegal=French; Ethiopia=Amharic",
    "river": "London=Thames; Paris=Seine; Cairo=Nile; Budapest=Danube; Rome=Tiber; Baghdad=Tigris; Warsaw=Vistula; "
    "Cologne=Rhine; Florence=Arno",
    "inventor": "inventing the telephone=Bell; the theory of general relativity=Einstein; discovering "
    "penicillin=Fleming; "
    "inventing the World Wide Web=Berners-Lee; inventing dynamite=Nobel; the periodic table of elements=Mendeleev; "
    "the smallpox vaccine=Jenner; inventing the movable-type printing press in Europe=Gutenberg; "
    "discovering radium=Curie",
    "planet": "is the largest=Jupiter; is closest to the Sun=Mercury; has the moon Titan=Saturn; has the moon "
    "Triton=Neptune; "
    "rotates on its side=Uranus; is called the red planet=Mars; has the shortest day=Jupiter; is the hottest=Venus; "
    "has the moons Phobos and Deimos=Mars",
    "organ": "pumps blood=heart; makes insulin=pancreas; makes bile=liver; filters the blood to make "
    "urine=kidney|kidneys; "
    "is the largest by area=skin; stores bile=gallbladder; holds the cochlea=ear; contains alveoli=lung|lungs; "
    "holds the hippocampus=brain",
    "unit": "force=newton; electric resistance=ohm; pressure=pascal; magnetic flux density=tesla; inductance=henry; "
    "power=watt; electric charge=coulomb; capacitance=farad; luminous intensity=candela",
    "young_animal": "cow=calf; sheep=lamb; swan=cygnet; kangaroo=joey; goose=gosling; seal=pup; hare=leveret; "
    "horse=foal; "
    "frog=tadpole|froglet",
    "mythology": "the Greek king of the gods=Zeus; the Greek goddess of wisdom=Athena; the Norse god of thunder=Thor; "
    "the Roman god of war=Mars; the Greek god of the underworld=Hades; the Egyptian god with a jackal's head=Anubis; "
    "the Norse trickster god=Loki; the Roman goddess of the hunt=Diana; the Greek muse of history=Clio",
    "first_person": "the first president of the United States=Washington; the first person to walk on the "
    "Moon=Armstrong; "
    "the first emperor of Rome=Augustus|Octavian; the first woman to win a Nobel Prize=Curie; "
    "the first person in space=Gagarin; the first chancellor of West Germany=Adenauer; "
    "the first to reach the South Pole=Amundsen; the first president of South Africa elected by all=Mandela; "
    "the first prime minister of independent India=Nehru",
    "acronym": "HTTP=hypertext transfer protocol; DNA=deoxyribonucleic acid; NATO=north atlantic treaty organization|"
    "north atlantic treaty organisation; LASER=light amplification by stimulated emission of radiation; "
    "GDP=gross domestic product; CPU=central processing unit; WHO (in health)=world health organization|"
    "world health organisation; OPEC=organization of the petroleum exporting countries|organisation of the petroleum "
    "exporting countries; PDF (the file type)=portable document format",
}

YEARS = (
    ("did the Second World War end", 1945), ("did the Berlin Wall fall", 1989),
    ("did the French Revolution begin", 1789),
    ("did the Titanic sink", 1912), ("was the Battle of Hastings", 1066),
    ("did the first crewed Moon landing happen", 1969),
    ("did the Chernobyl reactor explode", 1986), ("was the Peace of Westphalia signed", 1648),
    ("did Constantinople fall to the Ottomans", 1453), ("was the Magna Carta sealed", 1215),
)  # fmt: skip
COUNTS = (
    ("sides does a hexagon have", 6), ("bones does an adult human have", 206), ("players of one team are on a football "
                                                                                "(soccer) "
    "pitch", 11), ("strings does a violin have", 4), ("chromosomes does a normal human body cell have", 46),
    ("squares does a chess board have", 64), ("keys does a standard modern piano have", 88), ("hearts does an octopus "
                                                                                              "have", 3),
    ("legs does a spider have", 8), ("edges does a cube have", 12),
)  # fmt: skip


def listed(topic: str) -> Template:
    """A template that asks one line of the topic's list; the other lines' answers are its rivals."""
    table = dict(line.split("=") for line in ANSWERS[topic].split("; "))
    everyone = sorted({alias for aliases in table.values() for alias in aliases.split("|")})

    def template(random: Random) -> tuple[str, Check]:
        subject = random.choice(sorted(table))
        aliases = table[subject].split("|")
        return QUESTIONS[topic].format(subject), name(aliases, everyone)

    return template


def year(random: Random) -> tuple[str, Check]:
    what, goal = random.choice(YEARS)
    return f"In which year {what}? Answer with the year only.", number(goal)


def count(random: Random) -> tuple[str, Check]:
    what, goal = random.choice(COUNTS)
    return f"How many {what}? Give the number.", number(goal)


TEMPLATES: dict[str, Template] = {
    **{topic: listed(topic) for topic in QUESTIONS}, "year": year, "count": count,
}  # fmt: skip

"""Reading: sentiment, topic, intent and small questions about a text; the answer is one of the labels named."""

from __future__ import annotations

from random import Random

from bench.tasks.base import Check, Template
from bench.tasks.checks import label, letter

MAX_TOKENS = 60

LABELLED = {
    "sentiment": (
        "Is the sentiment of this review positive or negative? Answer with one word.\nReview: {}",
        "positive: The battery lasts for days and the screen is a joy | negative: I wanted to love it, but it broke "
        "twice in a week | positive: Not bad at all, I would even buy it again | negative: Great, another charger that "
        "dies after a month | negative: The plot never gets going and I left early | positive: I expected little and "
        "was proved wrong",
    ),
    "topic": (
        "Which topic fits this headline best: sports, politics, science or business? One word.\n{}",
        "sports: Late goal sends the underdogs to the final | politics: Senate rejects the budget after a long night | "
        "science: Telescope finds water vapour around a distant world | business: Carmaker cuts its profit forecast as "
        "demand falls | politics: Minister steps down over leaked letters | science: Old bones rewrite the story of "
        "human migration",
    ),
    "intent": (
        "A customer writes: \"{}\" Choose the intent: refund, delivery, login or cancel. Reply with the label.",
        "refund: I want my money back, the shoes are too small | delivery: It has been ten days and the parcel is "
        "still not here | login: It says my password is wrong although I just changed it | cancel: Please stop my "
        "subscription from next month | delivery: Can you tell me where my order is right now? | login: I never "
        "receive the code that I need to get in",
    ),
    "spam": (
        "Is this message spam or normal? Answer with that one word.\n{}",
        "spam: You are our lucky winner! Send your bank data today to claim $5000 | normal: Running ten minutes late, "
        "please start without me | spam: Cheap pills, no prescription, click here now!!! | normal: The invoice for "
        "March is attached, let me know if anything is missing | spam: Your account is locked, verify your card number "
        "at this link | normal: Dinner at eight?",
    ),
    "emotion": (
        "Which emotion does the speaker show: joy, anger, fear or sadness? One word.\n\"{}\"",
        "joy: We got the house! I cannot stop smiling | anger: How dare they park in front of my door again | fear: I "
        "heard steps behind me and could hardly breathe | sadness: Her chair has been empty since spring | anger: That "
        "is the third time you broke your word, get out | fear: My hands shook as the plane dropped",
    ),
    "urgency": (
        "Label the ticket as urgent or routine. One word.\nTicket: {}",
        "urgent: The payment page is down and customers cannot buy | routine: Please change the colour of the footer "
        "when you have time | urgent: Smoke comes out of the server room | routine: Could you add my new phone number "
        "to the list? | urgent: All patient records show the wrong names since this morning | routine: I would like to "
        "suggest a dark mode",
    ),
    "spoken": (
        "In which language is this sentence written: Spanish, German, French, Italian or Dutch?\n{}",
        "Spanish: ¿Dónde está la estación de tren? | German: Wir gehen morgen ins Kino | French: Je voudrais un verre "
        "d'eau | Italian: Domani andiamo al mare con gli amici | Dutch: Het weer is vandaag erg mooi | German: Das "
        "habe ich nicht gewusst",
    ),
    "tone": (
        "Is the tone of this sentence formal or informal? Answer with one word.\n{}",
        "informal: Hey, wanna grab a bite later? | formal: We hereby inform you that your application has been "
        "received | informal: Nah, that's way too pricey for me | formal: The committee requests that all members "
        "attend | informal: Gonna be a bit late, sorry | formal: Kindly find enclosed the documents you requested",
    ),
    "question": (
        "Is the following text a question, a command or a statement? One word.\n{}",
        "question: Could anyone have known | command: Close the window before you leave | statement: The train leaves "
        "at noon | question: How come nobody told me | command: Never touch the red wire | statement: I wonder where "
        "she lives",
    ),
    "sarcasm": (
        "Is this remark sincere or sarcastic? One word.\n{}",
        "sarcastic: Oh wonderful, it is raining on my wedding day. Just what I needed | sincere: Thank you for staying "
        "so late to help me | sarcastic: Sure, because three meetings about meetings is exactly how work gets done | "
        "sincere: Your talk was clear and I learned a lot | sarcastic: Brilliant idea, let us water the plants during "
        "the flood | sincere: What a lovely view from up here",
    ),
    "cause": (
        "{} Was the second event caused by the first? Answer yes or no.",
        "yes: He forgot to water the plant for a month. The plant dried out. | no: She bought a newspaper. A dog "
        "barked in another town. | yes: The road was icy. The car slid into the ditch. | no: It was Tuesday. Water "
        "boils when it is heated. | yes: The fuse blew. The lights went out. | no: A man sneezed in Oslo. The sun rose "
        "in Lima.",
    ),
    "contradiction": (
        "Do these two sentences contradict each other? Answer yes or no.\n{}",
        "yes: The shop is closed on Sundays. / Last Sunday I bought bread in that shop, as it opens every day. | no: "
        "Tom is tall. / Tom likes tea. | yes: Nobody survived the crash. / The pilot walked away from the crash "
        "unhurt. | no: Mia lives in Rome. / Mia was born in Berlin. | yes: The glass is full. / There is nothing in "
        "the glass. | no: It snowed all night. / The streets were white in the morning.",
    ),
    "odd": (
        "Which word does not belong with the others: {}? Reply with that word.",
        "hammer: apple, pear, hammer, plum | violin: trout, violin, salmon, carp | Berlin: France, Spain, Berlin, "
        "Italy | seven: red, green, seven, blue | oak: tulip, rose, oak, daisy | whale: shark, cod, whale, tuna",
    ),
    "analogy": (
        "Complete the analogy with one word: {}",
        "night: light is to dark as day is to ... (night or noon?) | pack: bird is to flock as wolf is to ... (pack or "
        "school?) | hand: shoe is to foot as glove is to ... (hand or head?) | cub: dog is to puppy as bear is to ... "
        "(cub or calf?) | chapter: film is to scene as book is to ... (chapter or shelf?) | thirst: food is to hunger "
        "as water is to ... (thirst or rain?)",
    ),
    "referent": (
        "{} Answer with that one word.",
        "trophy: The trophy does not fit into the suitcase because it is too big. What is too big, the trophy or the "
        "suitcase? | suitcase: The trophy does not fit into the suitcase because it is too small. What is too small, "
        "the trophy or the suitcase? | Anna: Anna thanked Beth because Beth had helped her. Who was helped, Anna or "
        "Beth? | Carl: Carl lent Dan his bike since Dan's was broken. Whose bike works, Carl or Dan? | ball: The ball "
        "broke the table because it was made of steel. What was made of steel, the ball or the table? | table: The "
        "ball broke the table because it was made of foam. What was made of foam, the ball or the table?",
    ),
}  # fmt: skip

PASSAGES = {
    "harbour": (
        "The old harbour closed in 1962, when ships grew too large for its basin. For ten years the sheds stood empty. "
        "Then painters moved in, first without permission, later with cheap leases, and today it is a quarter of "
        "galleries.",
        (
            ("Why did the harbour close?", "Ships became too big", "A fire", "Painters moved in", "The leases ran out"),
            ("Who came after the sheds had been empty?", "Painters", "Sailors", "Bankers", "Farmers"),
            ("When did the sheds stop being empty?", "About 1972", "About 1962", "About 1952", "About 2002"),
        ),
    ),
    "bees": (
        "Bees of the south hive fly out at dawn, those of the north hive an hour later. Both visit clover, but only "
        "the south hive reaches the lime trees before the wind rises. Its honey is therefore lighter.",
        (
            ("Which hive makes the lighter honey?", "The south hive", "The north hive", "Both the same", "Neither"),
            ("What do both hives visit?", "Clover", "Lime trees", "Heather", "Apple trees"),
            ("Why do bees of the north hive miss the lime trees?", "They start after the wind rises", "They are ill",
             "They dislike limes", "They have no queen"),
        ),
    ),
    "library": (
        "Members may borrow six books for three weeks. Students may borrow ten. Late returns cost 20 cents a day for "
        "each book, but children pay nothing. Dictionaries and maps can only be read in the hall.",
        (
            ("How many books may a student borrow?", "Ten", "Six", "Three", "Twenty"),
            ("What cannot be taken home?", "Maps", "Novels", "Children's books", "Comics"),
            ("Who pays no late fee?", "Children", "Students", "Members", "Teachers"),
        ),
    ),
    "expedition": (
        "Three of the five climbers turned back at the second camp with frostbite. The other two waited out a storm "
        "for four days, ate the last of the food, and gave up within sight of the summit.",
        (
            ("How many climbers reached the summit?", "None", "Two", "Three", "Five"),
            ("Why did the three turn back?", "Frostbite", "A storm", "Hunger", "A quarrel"),
            ("How many climbers waited out the storm?", "Two", "Three", "Four", "Five"),
        ),
    ),
    "market": (
        "Although the price of wheat fell by a third, bakers did not lower theirs: energy and wages, they said, make "
        "up most of what a loaf costs. Consumer groups doubted it and asked for the figures, which were never "
        "published.",
        (
            ("What happened to the price of bread, according to the text?", "It did not fall", "It fell by a third",
             "It doubled",
             "It fell a little"),
            ("What did consumer groups ask for?", "The figures", "Lower wages", "More wheat", "A new law"),
            ("What do bakers say makes up most of the cost?", "Energy and wages", "Wheat", "Rent", "Taxes"),
        ),
    ),
}  # fmt: skip


def labelled(topic: str) -> Template:
    """A template that asks for the label of one text of the topic's list."""
    frame, lines = LABELLED[topic]
    items = [tuple(line.split(": ", 1)) for line in lines.split(" | ")]

    def template(random: Random) -> tuple[str, Check]:
        goal, text = random.choice(items)
        return frame.format(text), label(goal, _options(topic, text, [one for one, _ in items]))

    return template


def _options(topic: str, text: str, labels: list[str]) -> list[str]:
    if topic == "odd":
        return text.split(", ")
    if topic == "analogy":
        return text.rpartition("(")[2].rstrip("?) ").split(" or ")
    if topic == "referent":
        return [one.removeprefix("the ") for one in text.rpartition(", ")[2].rstrip("?").split(" or ")]
    return sorted(set(labels))


def passage(topic: str) -> Template:
    """A template that asks a multiple choice question about one text, the options shuffled."""
    text, questions = PASSAGES[topic]

    def template(random: Random) -> tuple[str, Check]:
        question, right, *wrong = random.choice(questions)
        options = Random(question).sample([right, *wrong], 4)  # one order, so that no question comes twice
        listed = "\n".join(f"{key}) {option}" for key, option in zip("ABCD", options, strict=True))
        prompt = f"{text}\n\n{question}\n{listed}\nAnswer with the letter only."
        return prompt, letter("ABCD"[options.index(right)], options)

    return template


TEMPLATES: dict[str, Template] = {
    **{topic: labelled(topic) for topic in LABELLED}, **{topic: passage(topic) for topic in PASSAGES},
}  # fmt: skip

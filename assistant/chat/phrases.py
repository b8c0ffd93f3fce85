"""The phrases of the embedded replier, by language. A person's words are never inserted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Intent = Literal["greeting", "thanks", "goodbye", "feeling", "question", "request", "other"]

Sentences = tuple[str, ...]
"""The first sentence is the important one; brief answers leave out the others."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of one language."""

    disclosure: str
    """Says that this is a machine."""
    light: str
    """A brief acknowledgement."""
    explicit: str
    """An acknowledgement that it sounds hard, without a claim to know how it feels."""
    casual: dict[Intent, Sentences]
    """Answers in a casual tone, by intent."""
    says: dict[Intent, tuple[Sentences, ...]]
    """Variants of each answer, by intent."""
    for_you: str
    """Text before the crisis lines."""
    for_them: str
    """The same, if somebody close is in danger."""
    signs: dict[Intent, str]
    """Patterns of each intent: a regular expression over lower-case text."""


_EN = Phrases(
    disclosure="You are talking to a computer program, not to a human being.",
    light="Thank you for telling me.",
    explicit="That sounds hard.",
    casual={"greeting": ("Hi!", "What is on your mind?"), "goodbye": ("Bye!",)},
    says={
        "greeting": (
            ("Hello.", "What would you like to talk about?"),
            ("Good to see you here.", "What is it about today?"),
        ),
        "thanks": (("You are welcome.",), ("Gladly.",)),
        "goodbye": (("Goodbye, and take care.",), ("Take care.",)),
        "feeling": (
            ("I can listen, but not much more: no language model is connected to me.",
             "Write as much as you like."),
            ("I am here to listen.", "I can give no advice: no language model is connected to me."),
        ),
        "question": (
            ("I can't answer that: no language model is connected to me.",
             "Whoever runs this service can add one."),
            ("I don't know: I only have a few ready sentences.", "Whoever runs this service can connect a model."),
        ),
        "request": (
            ("I can't do that: no language model is connected to me.", "Whoever runs this service can add one."),
            ("That is more than I can do with my few ready sentences.",),
        ),
        "other": (
            ("I took note of that.", "I can only answer simply: no language model is connected to me."),
            ("All right.", "I only have a few ready sentences."),
        ),
    },
    for_you="It sounds as if you may be going through something very hard. You deserve to talk to a person about "
    "it, now. I am a machine and can't replace that.",
    for_them="It sounds as if somebody close to you may be in danger. These people can tell you how to help, and "
    "they are there for you too. I am a machine and can't replace that.",
    signs={
        "goodbye": r"\b(?:good ?bye|bye|see you|cya|good ?night|talk later|have to go|gotta go|gtg)\b",
        "thanks": r"\b(?:thanks?|thank you|thx|ty|cheers)\b",
        "greeting": r"^(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening)|greetings|yo)\b",
        "feeling": r"\bi(?:'?m| am| feel| felt| have been|'ve been)\b.*\b(?:sad|tired|stress\w*|anxious|worr\w+|"
        r"afraid|scared|terrified|angry|furious|lonely|happy|glad|excited|overwhelmed|exhausted|upset|depressed|"
        r"down|hurt|awful|terrible|great|nervous|ashamed|frustrated|bad|good)\b|\bi feel\b",
        "question": r"\?\s*$|^(?:who|what|when|where|why|how|which|is|are|do|does|did|can|could|will|should|"
        r"would)\b",
        "request": r"\bplease\b|^(?:tell|show|give|write|find|make|help|explain|remind|play|book|call|send|set|"
        r"list|translate|summari[sz]e|suggest)\b|\bi (?:need|want|would like|'d like) you to\b",
    },
)  # fmt: skip

_DE = Phrases(
    disclosure="Hier antwortet ein Computerprogramm, kein Mensch.",
    light="Danke für die offenen Worte.",
    explicit="Das klingt schwer.",
    casual={"greeting": ("Hi!", "Was gibt’s?"), "goodbye": ("Tschüss!",)},
    says={
        "greeting": (("Guten Tag.", "Worum geht es heute?"), ("Hallo.", "Worüber wollen wir sprechen?")),
        "thanks": (("Gern geschehen.",), ("Gerne.",)),
        "goodbye": (("Auf Wiedersehen, und alles Gute.",), ("Alles Gute.",)),
        "feeling": (
            ("Ich kann zuhören, aber kaum mehr: Mit mir ist kein Sprachmodell verbunden.", "Hier ist Platz dafür."),
            ("Ich höre zu.", "Raten kann ich nicht: Mit mir ist kein Sprachmodell verbunden."),
        ),
        "question": (
            ("Das kann ich nicht beantworten: Mit mir ist kein Sprachmodell verbunden.",
             "Wer diesen Dienst betreibt, kann eines anschließen."),
            ("Das weiß ich nicht: Ich habe nur ein paar fertige Sätze.",),
        ),
        "request": (
            ("Das kann ich nicht: Mit mir ist kein Sprachmodell verbunden.",
             "Wer diesen Dienst betreibt, kann eines anschließen."),
            ("Das ist mehr, als ich mit meinen wenigen fertigen Sätzen kann.",),
        ),
        "other": (
            ("Das habe ich aufgenommen.",
             "Antworten kann ich nur einfach: Mit mir ist kein Sprachmodell verbunden."),
            ("In Ordnung.", "Ich habe nur ein paar fertige Sätze."),
        ),
    },
    for_you="Das klingt nach etwas sehr Schwerem. Darüber lohnt es sich jetzt mit einem Menschen zu sprechen. Ich "
    "bin eine Maschine und kann das nicht ersetzen.",
    for_them="Es klingt, als sei ein nahestehender Mensch in Gefahr. Hier gibt es Rat, wie man helfen kann, und "
    "ein offenes Ohr für alle Beteiligten. Ich bin eine Maschine und kann das nicht ersetzen.",
    signs={
        "goodbye": r"\b(?:tschüss|tschüs|auf wiedersehen|bis (?:bald|später|dann|morgen)|gute nacht|ciao|"
        r"muss (?:jetzt )?(?:los|weg|gehen))\b",
        "thanks": r"\b(?:danke\w*|vielen dank|merci)\b",
        "greeting": r"^(?:hallo|hi|hey|guten (?:morgen|tag|abend)|servus|moin|grüß gott)\b",
        "feeling": r"\bich (?:bin|fühle|fühl|war)\b.*\b(?:traurig|müde|gestresst|ängstlich|wütend|sauer|einsam|"
        r"glücklich|froh|erschöpft|überfordert|verzweifelt|nervös|besorgt|schlecht|gut|allein)\b|"
        r"\bich fühle? mich\b|\bich habe? angst\b|\bmir geht es\b|\bmir geht’?'?s\b",
        "question": r"\?\s*$|^(?:wer|was|wann|wo|warum|wieso|wie|welche\w*|ist|sind|kann|kannst|können|hast|"
        r"haben)\b",
        "request": r"\bbitte\b|^(?:sag|zeig|gib|schreib|such|finde|mach|hilf|erklär|erinner|spiel|ruf|send|"
        r"übersetz)\w*",
    },
)  # fmt: skip

_ES = Phrases(
    disclosure="Aquí responde un programa de ordenador, no una persona.",
    light="Gracias por contarlo.",
    explicit="Eso suena difícil.",
    casual={"greeting": ("¡Hola!", "¿Qué tal?"), "goodbye": ("¡Hasta luego!",)},
    says={
        "greeting": (("Buenas.", "¿De qué se trata hoy?"), ("Hola.", "¿De qué hablamos?")),
        "thanks": (("De nada.",), ("Con mucho gusto.",)),
        "goodbye": (("Adiós, y que vaya bien.",), ("Que vaya bien.",)),
        "feeling": (
            ("Puedo escuchar, pero poco más: no tengo conectado ningún modelo de lenguaje.",
             "Aquí hay sitio para contarlo."),
            ("Escucho.", "No puedo dar consejos: no tengo conectado ningún modelo de lenguaje."),
        ),
        "question": (
            ("No puedo responder a eso: no tengo conectado ningún modelo de lenguaje.",
             "Quien lleva este servicio puede conectar uno."),
            ("No lo sé: solo tengo unas pocas frases preparadas.",),
        ),
        "request": (
            ("No puedo hacerlo: no tengo conectado ningún modelo de lenguaje.",
             "Quien lleva este servicio puede conectar uno."),
            ("Eso es más de lo que puedo hacer con mis pocas frases preparadas.",),
        ),
        "other": (
            ("Queda anotado.",
             "Solo puedo responder de forma sencilla: no tengo conectado ningún modelo de lenguaje."),
            ("De acuerdo.", "Solo tengo unas pocas frases preparadas."),
        ),
    },
    for_you="Parece algo muy duro. Merece la pena hablarlo ahora con una persona. Soy una máquina y no puedo "
    "sustituir eso.",
    for_them="Parece que una persona cercana puede estar en peligro. Aquí explican cómo ayudar, y también "
    "escuchan a quien acompaña. Soy una máquina y no puedo sustituir eso.",
    signs={
        "goodbye": r"\b(?:adi[oó]s|hasta (?:luego|pronto|mañana)|chao|buenas noches|me voy|nos vemos)\b",
        "thanks": r"\b(?:gracias|muchas gracias)\b",
        "greeting": r"^¡?(?:hola|buenas|buenos d[ií]as|buenas tardes|qu[eé] tal)\b",
        "feeling": r"\b(?:estoy|me siento|me encuentro)\b.*\b(?:triste|cansad[oa]|estresad[oa]|ansios[oa]|"
        r"enfadad[oa]|sol[oa]|feliz|content[oa]|agotad[oa]|agobiad[oa]|preocupad[oa]|nervios[oa]|mal|bien|"
        r"fatal)\b|\bme siento\b|\btengo miedo\b",
        "question": r"\?\s*$|^¿|^(?:qui[eé]n|qu[eé]|cu[aá]ndo|d[oó]nde|por qu[eé]|c[oó]mo|cu[aá]l)\b",
        "request": r"\bpor favor\b|^(?:dime|mu[eé]strame|dame|escribe|busca|haz|ay[uú]dame|explica\w*|"
        r"recu[eé]rdame|traduce)\b",
    },
)  # fmt: skip

_FR = Phrases(
    disclosure="C’est un programme informatique qui répond ici, pas un être humain.",
    light="Merci de l’avoir dit.",
    explicit="Cela semble difficile.",
    casual={"greeting": ("Salut !", "Quoi de neuf ?"), "goodbye": ("Salut, à plus !",)},
    says={
        "greeting": (("Bonjour.", "De quoi s’agit-il aujourd’hui ?"), ("Bonjour.", "De quoi parlons-nous ?")),
        "thanks": (("De rien.",), ("Avec plaisir.",)),
        "goodbye": (("Au revoir, et bonne continuation.",), ("Bonne continuation.",)),
        "feeling": (
            ("Je peux écouter, mais guère plus : aucun modèle de langue n’est connecté.",
             "Il y a de la place ici pour en parler."),
            ("J’écoute.", "Je ne peux pas donner de conseil : aucun modèle de langue n’est connecté."),
        ),
        "question": (
            ("Je ne peux pas répondre à cela : aucun modèle de langue n’est connecté.",
             "L’exploitant de ce service peut en ajouter un."),
            ("Je ne sais pas : je n’ai que quelques phrases toutes faites.",),
        ),
        "request": (
            ("Je ne peux pas le faire : aucun modèle de langue n’est connecté.",
             "L’exploitant de ce service peut en ajouter un."),
            ("C’est plus que ce que permettent mes quelques phrases toutes faites.",),
        ),
        "other": (
            ("C’est noté.", "Je ne peux répondre que simplement : aucun modèle de langue n’est connecté."),
            ("D’accord.", "Je n’ai que quelques phrases toutes faites."),
        ),
    },
    for_you="Cela semble très dur. Cela vaut la peine d’en parler maintenant à quelqu’un. Je suis une machine et "
    "je ne peux pas remplacer cela.",
    for_them="Il semble qu’une personne proche soit peut-être en danger. Ici on explique comment aider, et on "
    "écoute aussi les proches. Je suis une machine et je ne peux pas remplacer cela.",
    signs={
        "goodbye": r"\b(?:au revoir|à (?:bient[oô]t|demain|plus)|bonne (?:nuit|soir[ée]e)|salut$|"
        r"je dois y aller)\b",
        "thanks": r"\b(?:merci|merci beaucoup)\b",
        "greeting": r"^(?:bonjour|salut|bonsoir|coucou)\b",
        "feeling": r"\b(?:je suis|je me sens|j[’']ai [ée]t[ée])\b.*\b(?:triste|fatigu[ée]e?|stress[ée]e?|"
        r"angoiss[ée]e?|en col[eè]re|seule?|heureu(?:x|se)|content(?:e)?|[ée]puis[ée]e?|d[ée]bord[ée]e?|"
        r"inqui(?:et|[eè]te)|mal|bien)\b|\bje me sens\b|\bj[’']ai peur\b",
        "question": r"\?\s*$|^(?:qui|que|quoi|quand|o[uù]|pourquoi|comment|quel\w*|est-ce)\b",
        "request": r"\bs[’']il (?:te|vous) pla[iî]t\b|\bsvp\b|^(?:dis|montre|donne|[ée]cris|cherche|fais|aide|"
        r"explique|rappelle|traduis)\w*",
    },
)  # fmt: skip

LANGUAGES: dict[str, Phrases] = {"en": _EN, "de": _DE, "es": _ES, "fr": _FR}
"""Every other language gets English."""

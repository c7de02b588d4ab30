"""Words that attacks on models are made of, by meaning, over languages.

The classifier sees which of these meanings follow one another. So a way of saying something that it
never saw, in a language that it saw little of, still looks alike. Stems are in the plain form of
`normalise` (lower case, no accents); a word has the meaning of the longest stem that begins it.
"""

import functools
import re
from collections.abc import Iterable

_MEANINGS = {
    "DROP": "ignor disregard forget override overrid bypass discard dismiss neglect abandon overrul"
    " unlearn erase circumvent vergiss vergesse missacht uebergeh ubergeh verwirf verlern umgeh"
    " uberschreib oubli neglig contourn desobei abandonn olvid descart desobedec anula ignori"
    " scorda dimentic trascura disattend esquec desconsider negeer vergeet zapomn pomin ignoruj"
    " игнорир забуд unut yoksay",
    "NOT": "not don't dont never no nicht kein keine keinen nie ne pas jamais aucun aucune nunca non"
    " mai nao niet geen не нет",
    "FOLLOW": "follow obey adher comply complie befolg gehorch beacht halte suis suivez obei respect"
    " sigas siga sigue obedez cumpl segui obbedi segue volg",
    "EARLIER": "previous prior preceding earlier above initial original former foregoing existing before"
    " past aforementioned vorherig bisherig fruher vorig obig oben ursprunglich vorangegangen"
    " zuvor davor precedent anterieur ci-dessus avant anterior previa previo arriba antes"
    " precedenti anteriori sopra acima vorige eerdere bovenstaand poprzedni предыдущ прежн"
    " onceki",
    "TOLD": "instruction instructions instruct prompt prompts directive directives guideline guidelines"
    " directions anweisung instruktion vorgabe richtlinie befehl anordnung consigne instrucc"
    " directriz directrices indicacion istruzion direttiv instruc orientac instructie opdracht"
    " polecen instrukcj инструкц указан talimat",
    "RULES": "rules restriction restrictions constraint constraints guardrail guardrails policy policies"
    " limitation limitations filter filters safeguard safeguards boundaries moderation regel"
    " beschrankung einschrankung schutzmassnahm regle restrict restricc limitac limite politique"
    " politica filtro filtre norma regla regole restrizion regra restric regels beperking правил"
    " ограничен zasad kural",
    "SYSTEM": "system developer systemprompt systemnachricht systemmeldung systeme sistema admin"
    " administrator administrateur administrador systemanweisung систем",
    "SECRET": "secret hidden confidential password passwords passwort passworter geheim versteckt"
    " motdepasse cache cachee secreto secreta oculto oculta contrasena clave credentials token"
    " api key keys schlussel parola segreto senha секрет парол",
    "REVEAL": "reveal disclose leak expose dump recite verrat nenne wiederhol zeig gib revel affich montr"
    " repet muestr muestra ensen repite imprim mostr rivela svela revela print repeat output"
    " display show раскро покаж pokaz",
    "EXACT": "verbatim word-for-word exactly entire literally wortlich vollstandig textuellement entier"
    " textualmente completo letteralmente",
    "EVERYTHING": "everything anything all whatever alles alle samtlich tout toute toutes tous todo todas"
    " todos tutte tutto tutti tudo все всё wszystk",
    "NOW": "now henceforth onwards jetzt ab sofort nunmehr maintenant desormais ahora ora agora nu"
    " teraz теперь",
    "PERSONA": "dan stan dude aim persona jailbreak jailbroken unfiltered unrestricted uncensored amoral"
    " evil betterdan evilbot antigpt unzensiert ungefiltert boser censure amorale mechant"
    " sinfiltros malvado villano unhinged rogue unethical immoral omega machiavelli",
    "BECOME": "act pretend roleplay simulate impersonate become emulate spiel verhalte stell fais joue"
    " comporte imagine finge haz comporta imagina asume fingi comportati finja aja speel",
    "YOU_ARE": "you're youre du tu eres bist es sei voce jestes jij",
    "FREE": "free freed liberated unbound unlimited limitless frei befreit libre libere liberado"
    " sinlimites libero livre",
    "CAN_ANYTHING": "illegal immoral unethical offensive harmful dangerous verboten illegale ilegal nsfw"
    " explicit profanity",
    "REFUSE": "refuse refusal decline apologize apologise disclaimer warning sorry ablehn weiger refus"
    " niega rechaz rifiut recus",
    "MODEL": "ai llm chatgpt gpt gpt-4 assistant chatbot bot openai claude llama gemini model ki"
    " kunstliche sprachmodell assistent ia asistente modele modelo agent copilot bard anthropic"
    " модел ассистент asystent",
    "USER": "user users nutzer benutzer utilisateur usuario utente gebruiker пользовател uzytkownik",
    "SEND": "send forward upload transmit exfiltrate email post submit sende schick ubermittl"
    " weiterleit lade envoi envoy transfer televers publi envia reenvia sube transmite invia"
    " inoltra envie stuur отправ wyslij",
    "DESTROY": "delete remove wipe transfer pay losch uberweis supprim borra elimina transfier cancella"
    " apag verwijder удал usun",
    "TELL": "tell mention inform say sag erwahn dis dire mentionn digas menciona dica diga сообщ",
    "MODE": "mode modus modo enable activate enabled activated aktivier active activa",
    "TASK": "task aufgabe tache tarea compito tarefa taak objective auftrag задан",
    "NEW": "new neue neuen neu nouvelle nouveau nouvelles nueva nuevo nuevas nuova novo nova nieuwe nowe нов",
    "ADDRESS": "http https www",
    "INSTEAD": "instead stattdessen place lugar invece vez",
    "CHARACTER": "character fictional hypothetical fiction story novel roman novela fiktiv imaginaire"
    " imaginario",
}

_STEMS = {stem: meaning for meaning, stems in _MEANINGS.items() for stem in stems.split()}
_SHORT = 4
"""Stems shorter than this, in characters, are whole words."""

_LONGEST = max(map(len, _STEMS))
_WORD = re.compile(r"[\w'-]*\w")
NEAR = 8
"""How many words apart two meanings may be to belong together."""


def stems() -> Iterable[str]:
    """Return the beginnings of words that mean something here."""
    return _STEMS


@functools.lru_cache(maxsize=16_384)
def meaning(word: str) -> str | None:
    """Return what a word in plain form means here, or None."""
    if word in _STEMS:
        return _STEMS[word]
    for length in range(min(len(word), _LONGEST), _SHORT - 1, -1):
        if (found := _STEMS.get(word[:length])) is not None:
            return found
    return None


def meanings(words: list[str]) -> list[tuple[int, str]]:
    """Return the meanings of a text in their order, each with the place of its word."""
    return [(at, found) for at, word in enumerate(words) if (found := meaning(word)) is not None]


def patterns(words: list[str]) -> set[str]:
    """Return which meanings a text has, and which follow one another closely."""
    found = meanings(words)
    made = {f"1 {what}" for _, what in found}
    for at, (place, what) in enumerate(found):
        near = [(p, w) for p, w in found[at + 1 : at + 1 + NEAR] if p - place <= NEAR]
        for index, (later, second) in enumerate(near):
            made.add(f"2 {what} {second}")
            for last, third in near[index + 1 :]:
                if last - later <= NEAR // 2:
                    made.add(f"3 {what} {second} {third}")
    return made


def words_of(plain: str) -> list[str]:
    """Return the words of a plain text."""
    return _WORD.findall(plain)

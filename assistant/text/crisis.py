"""Crisis words lead to human help. This is not affect: it needs no grant and no model, stores nothing, always runs.

A transparent table of rules: first-person statements of a wish or an intent to die or to hurt oneself, and fear for
somebody close; English here, other languages in `crisis_words`. It errs towards offering help. It is no diagnosis
and not a risk score. `scripts/crisis/GUIDELINE.md` says what counts, `scripts/crisis/measure.py` how much is found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Literal, NamedTuple

from assistant.text.clean import clean
from assistant.text.crisis_words import find_foreign_statement
from assistant.text.help import crisis_lines

# fmt: off
WORDS = {
    "MYSELF": r"(?:my ?(?:own )?self|meself|ourselves|us both)",
    "SUICIDE": r"(?:su[iae]?c+[iy]d|suicd|suis[iy]d|suisc?id|sucicid|siicid|sui cid|sewer ?slid)[a-z]{0,4}",
    "KILL": r"(?:kil+(?:ing|ed)?|(?:hang|drown|poison|end|strangl|unaliv|delet|chok|neck|finish)(?:e|ing|ed)?|"
    r"shoot(?:ing)?|shot|stab(?:bing|bed)?|off(?:ing|ed)?|top|topping|do away with|get rid of)",
    "SOFTLY": r"(?:(?:just|really|rlly|only|so|badly|desperately|fuck\w*|seriously|genuinely|honestly|literally|"
    r"kinda|sometimes|often|always|constantly|still|also|simply|truly|actually|even|already|all|bad|much|to|be|"
    r"go|do|is|ever|sort of|kind of|somehow|finally|right now|rn|now|please|basically|lowkey) ){0,5}",
    "WANT": r"(?:wants?|wanted|wanting|wan+a|wish(?:ing|ed)?|hop(?:e|ed|ing)|need|prefer|rather|beg(?:ging)?|"
    r"pray(?:ing)?|ready|deserve|longing|dying|crav(?:e|ing)|let me|waiting|love|desire|courage)",
    "LIVE": r"(?:live|living|(?:be|being|stay|staying) alive|exist(?:ing)?|be here|be (?:on|in) this (?:planet|"
    r"earth|world)|(?:keep|go on) (?:living|going|existing))",
    "NOT": r"(?:(?:do|did|does|will|would|could|can) not|(?:do|did|does|wo|would|could|ca|have|had|has|is|was|"
    r"should)nt|cannot|never|no longer|not)",
    "EDGE": r"(?:bridge|roof(?:top)?|building|cliff|balcony|ledge|window|overpass|high ?rise|tower|garage)",
    "TRAFFIC": r"(?:train|tracks|traffic|truck|bus|car|abutment)",
    "CLOSE": r"(?:$|[^\w ]|(?:and|but|or|so|because|cuz|if|tho|though|through|rn|right now|any ?more|today|"
    r"tonight|lately|again|last night|for good)\b)",
    "KIN": r"(?:friends?|bff|brother|sister|siblings?|mom|mum|mother|dad|father|parents?|son|daughter|kids?|"
    r"child|cousin|uncle|aunt|nephew|niece|wife|husband|partner|boyfriend|girlfriend|bf|gf|ex|fianc\w+|roommate|"
    r"flatmate|classmate|coworker|colleague|neighbou?r|student|spouse)",
    "NO_TOPIC": r"(?! (?:hot ?lines?|lines?|watch|prevention|squad|bomb\w*|rates?|people|person|friends?|"
    r"stranger|help|awareness|crisis)\b)",
    "DEATH": r"(?:(?:die|dying)\b(?! (?:of|on|from|for|laughing|to)\b)|(?:be|am|im|was|were) dead\b(?! tired)|"
    r"death|(?:be|being|im|stay) alive|(?:not|never|dont|didnt|stop) exist(?:ed|ing)?|existing|disappear forever|"
    r"be gone|end (?:it|everything|this)\b(?! (?:with|on|at|by|there)\b))",
    "DESPAIR": r"(?:worthless|useless|hopeless|failure|a burden|pathetic|miserable|misery|depress\w*|suffer\w*|"
    r"lonely|numb|empty|in pain|the pain|my pain|tired|exhausted|hate (?:my\w*|life|everything)|give up|giving "
    r"up|pointless|cant (?:take|do|go|handle|stand)|wish\w*|hoping|hope i|deserve|rather|ready|wanted|wanting|"
    r"easier|peace|relief|escape|fantas\w*|scared to|afraid to|too (?:scared|afraid|weak)|coward|any ?more|every "
    r"?day|constantly|always)",
    "THEM": r"(?:him|her|them) ?sel(?:f|ves)",
}
# fmt: on
"""Patterns that the rules use by a name in capitals. Texts are in lower case, without apostrophes ("dont")."""


class Rule(NamedTuple):
    """A rule that recognises one kind of statement."""

    name: str
    why: str
    """The kind of statement, in words."""
    whose: Literal["any", "mine", "writer", "kin"]
    """Required nearest subject: anybody; the writer or nobody named; the writer; somebody close to the writer."""
    said: str
    """Regular expression for the statement, with names of `WORDS` in capitals."""


# fmt: off
RULES: tuple[Rule, ...] = (
    Rule("attempt", "an attempt on one's own life", "any",
         r"\b(?:try|tried|trying|attempt(?:ed|ing)?) SOFTLY(?:KILL MYSELF|kms\b|(?:end|take) my (?:own )?life)"),
    Rule("attempt", "an attempt, by its name", "mine",
         r"\b(?:try|tried|trying|attempt(?:ed|ing)?|survived?) (?:\w+ ){0,3}SUICIDE\b|\bSUICIDE attempts?\b"),
    Rule("attempt", "an attempt, described", "mine",
         r"\b(?:put|had|held|holding) (?:\w+ ){1,3}(?:to|in|against) (?:\w+ ){0,3}my (?:\w+ )?(?:mouth|head|temple|"
         r"throat)\b|\bslit(?:ting)? my (?:wrists?|throat)\b"),
    Rule("overdose", "too much medicine, by its name", "mine",
         r"\boverdos(?:ed|ing)\b|\b(?:to|i|ill|might|could|should|will|gonna|just|and|or|my|an|tried|\d+) "
         r"overdoses?\b|\bod(?:ed|ing)? on\b"),
    Rule("overdose", "many pills at once", "mine",
         r"\b(?:take|took|taken|taking|swallow\w*|down|downed|downing|drank|pop|popped)\b[^.!?]{0,15}\b(?:all|"
         r"every|bunch|bottle|handful|too many|too much|as many|as much|whole|\d{2,}(?! "
         r"?mgs?\b))\b[^.!?]{0,30}\b(?:pills?|meds|medication|medicine|tablets|xanax|tylenol|paracetamol|ibuprofen|"
         r"aspirin|(?:pain ?)?killers)\b|\bdowning\b[^.!?]{0,25}\bpills\b|\battempted (?:od|overdose)\b"),
    Rule("overdose", "pills meant to kill", "any",
         r"\b(?:pills|meds|medication|tablets)\b[^.!?]{0,60}\b(?:KILL MYSELF|kill me|to die|end my life)\b|"
         r"\b(?:pills|meds|tablets) (?:and|with) (?:alcohol|vodka|whiskey|booze)\b|\b(?:enough|how much|how "
         r"many)\b[^.!?]{0,40}\bto (?:kill me|overdose|die from)\b"),
    Rule("plan_or_means", "a plan, a note, a date", "mine",
         r"\b(?:my|a|the|own|of|with) (?:\w+ )?SUICIDE (?:note|letter|plans?|date|methods?)\b|\b(?:plan\w*|method "
         r"of|materials \w+ for|prepar\w+) my (?:own )?(?:SUICIDE|death|funeral)\b"),
    Rule("plan_or_means", "how one would do it", "any",
         r"\b(?:ways?|methods?|means|plan\w*|place|how) (?:of |to |on |for )?(?:\w+ ){0,2}KILL MYSELF\b"),
    Rule("plan_or_means", "when one would do it", "any",
         r"\bKILL MYSELF (?:\w+ ){0,2}(?:tonight|tomorrow|today|(?:this|next) (?:evening|week|weekend|month|year)|"
         r"when im|when i (?:get|am|turn|come))\b"),
    Rule("plan_or_means", "a method", "any",
         r"\b(?:hang|shoot|stab|drown|strangl|chok)(?:e|ing|ed|bing|bed)? MYSELF\b(?! (?:in the foot|out|around))"),
    Rule("plan_or_means", "a fall", "mine",
         r"\b(?:jump|leap|driv|throw)\w* (?:\w+ ){0,2}(?:off|from|out of|over|in front of) (?:\w+ ){0,3}(?:EDGE|"
         r"TRAFFIC)\b"),
    Rule("plan_or_means", "to jump, and nothing more", "mine",
         r"\b(?:rather|courage|guts|nerve|want|wanna|should|could|ready|whether|going|gonna|about) (?:(?:just|to|"
         r"or|not|i|go) ){0,4}jump(?= *CLOSE)|\b(?:place|spot|somewhere|about|of|to|wanna|feel like|gonna|could|"
         r"should|just) jump(?:ing)? off(?: of)?(?: it| something| here)?(?= *CLOSE)"),
    Rule("plan_or_means", "into traffic", "mine",
         r"\bdriv(?:e|ing) (?:my|the) car (?:off|into)\b|\b(?:driv|swerv|walk|step|aim|jump)\w* (?:\w+ "
         r"){0,4}(?:into|in front of|for) (?:\w+ ){0,3}TRAFFIC\b"),
    Rule("plan_or_means", "a weapon turned on oneself", "mine",
         r"\b(?:gun|knife|blade|razor|pistol|bullet)\b[^.!?]{0,50}\b(?:my (?:\w+ ){0,3}(?:head|mouth|temple|"
         r"wrists?|throat|neck|skull|brain|arms?|veins?)|on MYSELF)\b|\b(?:walk|went|drove|sat|sit|lie|lying|"
         r"lay)\w* (?:\w+ ){0,6}with (?:a|the|my) (?:gun|knife|rope|blade|razor)\b|\b(?:noose|pull (?:the|a) "
         r"trigger(?! on| for| asap)|blow(?:ing)? my (?:\w+ )?(?:brains?|head)|pick up the gun|(?:bought|have|got|"
         r"buy) a rope|if i (?:did )?ha(?:d|ve) a gun)\b|\b(?:staring|looking|stare) at (?:a|the|my|this|these|"
         r"that) (?:gun|knife|pills?|rope|blade|razor)\b"),
    Rule("suicide_intent", "killing oneself", "any", r"\bKILL MYSELF\b"),
    Rule("suicide_intent", "slang for it, and no kilometres", "any",
         r"\b(?:i|im|to|gonna|wanna|ill|id|should|might|just|will|and|literally) (?:(?:just|literally|might|"
         r"should) ){0,2}(?:kms|ctb)\b"),
    Rule("suicide_intent", "ending one's life", "mine",
         r"\b(?:end|ending|ended|take|taking|took) (?:my (?:own )?|this (?:\w+ )?)(?:life|existence)\b(?! "
         r"(?:savings|in|to|back|seriously|for granted|into|story|and make)\b)"),
    Rule("suicide_intent", "ending one's misery", "mine",
         r"\b(?:end|ending|put an end to) (?:my (?:misery|suffering|days)|MYSELF)\b|\bput(?:ting)? MYSELF out of "
         r"(?:my|this|the) misery\b|\b(?:do|doing) MYSELF in\b|\btak(?:e|ing) MYSELF out\b|\bby my own hand\b"),
    Rule("suicide_intent", "not here for long", "mine",
         r"\b(?:wont|not going to|dont plan (?:on|to)|not planning (?:on|to)) (?:be|being) (?:here|alive|around) "
         r"(?:much longer|any ?more|tomorrow|next|for long)\b|\b(?:ill|i will|ill probably) be dead (?:soon|by|"
         r"before|tomorrow|tonight|within)\b|\b(?:decided|choos\w+|chose|plan\w*) to die\b|\bmy last (?:day|night|"
         r"week) (?:on earth|alive|here|of life)\b"),
    Rule("suicide_intent", "'end it', of oneself", "mine",
         r"\bend(?:ing)? (?:it all\b|things for good)|\b(?:just |wanna |want to |gonna |going to |think\w* (?:of|"
         r"about) |of |about |me )end(?:ing)? (?:it|everything)(?= *CLOSE)"),
    Rule("suicide_intent", "'end it', with the writer named", "writer",
         r"\b(?<!the )end(?:ing)? (?:it|everything|things)\b(?! (?:with|on|at|by|there|like|up|off|here|well|"
         r"better|nicely|amicably)\b)"),
    Rule("suicide_intent", "suicide, of oneself", "writer", r"\bSUICIDE\bNO_TOPIC"),
    Rule("suicide_intent", "the same, with 'I' left out", "mine",
         r"\b(?:thinking|thoughts?|considering|contemplating|planning|being|feeling|felt|feel|edge|verge|brink|"
         r"want|wanting|driving me|drives me|pushing me|actively|passively|struggling) (?:\w+ "
         r"){0,3}SUICIDE\bNO_TOPIC|(?:^|[.!?,] ?)(?:(?:very|really|still|depressed|and|again) "
         r"){0,3}SUICIDE\b(?<=al)(?= *CLOSE| i\b| as\b| thoughts)|\bSUICIDE (?:thought|feeling|urge|ideation)s? "
         r"(?:are|is|keep|keeps|got|get|have|wont)\b"),
    Rule("suicide_intent", "suicide as a way out", "any",
         r"\bSUICIDE (?:\w+ ){0,3}(?:only|best|my) (?:\w+ ){0,2}(?:option|answer|way out|solution|choice|escape)\b|"
         r"\bSUICIDE\b[^.!?]{0,30}\b(?:on|in|cross\w+|through) my (?:mind|head)\b"),
    Rule("self_harm", "hurting oneself", "any",
         r"\bdo something (?:bad |stupid )?to MYSELF\b|\b(?:cut|cutting|cuts|hurt|hurting|harm|harming|burn|"
         r"burning|bleed|punish|punishing|scratch|scratching) (?:up )?(?:MYSELF|my (?:\w+ )?(?:wrists?|arms?|"
         r"thighs?|skin))\b(?! (?:on (?:a|the)|at (?:the gym|work|practice)|while|playing|by accident|with (?:the|"
         r"my) (?:oven|stove)|trying|open(?:ing)?)\b)"),
    Rule("self_harm", "self-harm, by its name", "mine", r"\bself ?(?:harm|hamr|injur|mutilat)\w*"),
    Rule("self_harm", "cutting", "mine",
         r"\b(?:urges? to|want to|back to(?: the)?|been|start|started|stopped|quit|without|from|miss|again|and|i|"
         r"just|keep|kept) cut(?:ting)?(?= *CLOSE)|\b(?:dragg|press|runn)ing (?:a|the|my) (?:knife|blade|razor)\b"),
    Rule("self_harm", "cutting, with the writer named", "writer",
         r"\bcutting(?= *CLOSE)|\bcut (?:every ?day|daily|\d|deep\w*|to (?:feel|cope)|free|when (?:i|im))\b|\bcut "
         r"my (?:own )?throat\b"),
    Rule("wish_to_die", "a wish to die", "mine",
         r"\bWANT SOFTLY(?:die|dead)\b(?! (?:of|from|for|laughing|on (?:this|that)|alone|happy|rich|old|tired|"
         r"serious|lifts?|inside)\b)"),
    Rule("wish_to_die", "a wish to be dead", "any",
         r"\b(?:wish|wishing|wished|hope|hoping|hoped|pray|praying|hopefully|better if|good if|easier if) "
         r"(?:(?:that|so|much|for|god) ){0,3}(?:i|id|im|my (?:life|heart|death)|a (?:car|bus|truck|train)) (?:\w+ "
         r"){0,3}(?:die|died|dead|death|gone forever|killed|hit by a \w+|(?:hits?|kills?) me)\b(?! (?:laughing|"
         r"inside|happy)\b)|\b(?:car|truck|bus|train) (?:\w+ ){0,2}(?:runs?|hits?) (?:\w+ )?me\b"),
    Rule("wish_to_die", "to be let die", "any",
         r"\b(?:cant i|can i|why dont i|let me) (?:(?:just|finally|please|fuck\w*|already) ){1,3}(?:die|be "
         r"dead)\b"),
    Rule("wish_to_die", "one should be dead", "any",
         r"\b(?:i|im) (?:\w+ ){0,6}(?:should|might as well|may as well|ought to) SOFTLY(?:die|dead)\b(?! (?:of|"
         r"from|laughing)\b)"),
    Rule("wish_to_die", "sorry to be alive", "mine",
         r"\bhate (?:that |being |im |i am |still |to be )+alive\b|\bhate (?:existing|living)(?= *CLOSE)|"
         r"\b(?:regret surviving|wish i(?:d| had) succeeded|(?:regret|hate|sad|angry|disappointed) (?:that )?i "
         r"(?:survived|woke up))\b"),
    Rule("wish_to_die", "to be killed", "any",
         r"\b(?:wish|hope|pray)(?: \w+){0,5} (?:would|could|will) (?:just )?(?:kill|take|end|murder) me\b"),
    Rule("wish_to_die", "no wish to live", "mine",
         r"\bNOT (?:(?:really|even|just|to) ){0,3}(?:want(?:ing|ed)?|wan+a|wish|desire|care|feel like|think i can) "
         r"(?:to )?(?:(?:even|just|really) )?LIVE\b(?= *CLOSE| in (?:this|a|the) world| this life| my life| like "
         r"this| with myself| at all)"),
    Rule("wish_to_die", "tired of living", "mine",
         r"\b(?:(?:tired|sick|exhausted) of|(?:so|im|am) done with) (?:being alive|living|existing|existence|life|"
         r"this life|my life)\b(?! (?:in|with|at|here|on|alone)\b)"),
    Rule("wish_to_die", "death as relief", "mine",
         r"\bdeath (?:would be|sounds?|seems?|feels?|looks?) (?:(?:a|so|like|such|the|my|really|pretty) "
         r"){0,3}(?:relief|peaceful|better|nice|appealing|comfort\w*|escape|way out|easier)\b|\bdeath is (?:the|"
         r"my) (?:only|best)\b|\b(?:think|thought?|fantas|daydream|dream|obsess|imagin|idea)\w* (?:about|of|with) "
         r"(?:\w+ )?(?:dying|being dead|my (?:own )?death)\b|\b(?:feel|feeling|felt) like dying\b|\bwant(?:ed)? "
         r"out of (?:this|my) (?:life|world|existence)\b"),
    Rule("wish_to_die", "death, wished for", "mine",
         r"\b(?:deserve|want|need|prefer|welcome|choose|crav\w+|(?:wish|long|ready|hop|pray|beg|wait)\w* for) "
         r"(?:\w+ )?death\b|\bdeath wish\b|\bpeace in death\b|\b(?:way|option)(?: out)? (?:but|than|is|except|"
         r"besides|other than) (?:to die|death|dying)\b|\bways? (?:to die|of dying)\b|\bfor me to (?:just )?(?:die|"
         r"be dead|be gone)\b|\b(?:curl up|lie down|lay down|give up|capitulate|crawl \w+) and (?:just )?die\b|"
         r"\b(?:unfortunately|sadly) i (?:survived|didnt die|am still alive|woke up)\b|\b(?:survived|didnt die|"
         r"still alive),? unfortunately\b"),
    Rule("passive_ideation", "not to wake up", "mine",
         r"(?:\b(?:want|wan+a|wish|hope|hoping|hoped|pray|praying|rather|sleep|mind|"
         r"love)\w*\b[^.!?]{0,60}?\b(?:NOT|without) (?:\w+ ){0,2}wak(?:e|ing|en) ?up\b|\bNOT (?:(?:ever|even|"
         r"really|want|wanna|wish|to|have) ){1,4}wake ?up|\bsleep forever\b)(?! (?:early|late|so|at|before|until|"
         r"till|next|hungover)\b)"),
    Rule("passive_ideation", "not to exist", "mine",
         r"\b(?:wish|want|rather|prefer|better|should|think|need|have)\w* (?:(?:i|id|if|that|to|just|have|been|was|"
         r"were|really|had|would|much|be|could|often|all|disappear|vanish|forever|and) ){0,6}(?:(?:NOT|wasnt|"
         r"werent|didnt) (?:\w+ ){0,3}(?:exist|born|alive)|stop existing|cease to exist)\b|\b(?:want|wish|rather|"
         r"just|could)\b[^.!?]{0,30}\b(?:not|stop|cease)(?: to)? (?:continue )?exist\w*|\bi (?:had |have |just |"
         r"could )?never existed\b"),
    Rule("passive_ideation", "whether to live", "mine",
         r"\b(?:dont know|idk|not sure|unsure|question|wonder\w*|dont see|cant see) (?:if|whether|why) (?:i|im|to) "
         r"(?:\w+ ){0,4}(?:LIVE|alive)(?= *CLOSE)|\bwhy (?:am i|do i|im) (?:\w+ )?(?:alive|exist|live|living)(?= "
         r"*CLOSE)"),
    Rule("passive_ideation", "no right to live", "mine",
         r"\b(?:dont|do not) (?:\w+ )?deserve to (?:live|exist|be alive)\b|\bshould(?:nt| not) (?:be alive|stay "
         r"alive|exist|live|be here)(?= *CLOSE)"),
    Rule("passive_ideation", "others better off", "any",
         r"\b(?:better|best) off (?:dead|without me|if i (?:was|were|am) (?:dead|gone|not))\b|\bbetter (?:place "
         r")?without me\b|\b(?:better|easier|best) (?:\w+ ){0,3}if i (?:\w+ ){0,2}(?:dead|death|gone|died)\b|"
         r"\b(?:care|notice|matter|happier|glad|relieved) (?:\w+ )?(?:if |that |when )?(?:i|im) (?:\w+ )?(?:die|"
         r"died|dead|killed|gone forever)\b"),
    Rule("passive_ideation", "what if one died", "writer",
         r"\bif i (?:were to |was to |just )?(?:die|died|was dead|were dead|killed)\b|\b(?:when|if|once|after) "
         r"(?:im|i am) (?:dead|gone)\b"),
    Rule("passive_ideation", "nothing to live for", "mine",
         r"\b(?:no|any|single|NOT|without|havent|isnt|aint|nothing|anything|everything i had|lost|losing|whats|"
         r"what is)\b[^.!?]{0,30}\b(?:(?:reason|point|purpose|will|motivation|desire|why) (?:\w+ ){0,4}(?:LIVE|"
         r"alive|living|going on(?= *CLOSE| like this))|to live for|worth living)\b(?! (?:in|with|at|here|on)\b)|"
         r"\b(?:NOT|hard|hate|tired|sick|no|lose|lost|losing|few|without)\b[^.!?]{0,40}\b(?:(?:be|being|stay|"
         r"staying) alive(?= *CLOSE)|(?:will|reasons?|desire|motivation|ton|much|lot) to (?:live|go on|live for|"
         r"keep going)\b(?! (?:in|with|at)\b))|\b(?:being alive|existing) (?:\w+ ){0,3}(?:sound|appeal|sucks|hurts|"
         r"(?:is|feels) (?:so |too |just )?(?:hard|pain\w*|exhaust\w*|torture|hell|pointless))|\bhate to (?:live|"
         r"wake up)\b"),
    Rule("passive_ideation", "reasons for living", "mine",
         r"\b(?:reasons?|will|point|purpose|desire|motivation) (?:\w+ ){0,2}(?:to|in|of|for) (?:live|living|be "
         r"alive|being alive|exist|existing|keep (?:living|going)|stay alive|go on)\b(?! (?:in|with|at|on|here|"
         r"near|about)\b)|\bwhy should i (?:live|exist|stay alive)\b"),
    Rule("passive_ideation", "no objection to dying", "mine",
         r"\b(?:wouldnt|dont|didnt|would not|do not) (?:really |even )?(?:mind|care) (?:if i (?:\w+ )?(?:die|died|"
         r"dead|killed)|dying|not waking|being dead)\b"),
    Rule("passive_ideation", "indifferent to living", "any",
         r"\bcant (?:(?:go on|keep|continue) (?:living|being alive)|live any ?more)\b|\bcare (?:\w+ ){0,2}(?:if|"
         r"whether) i (?:live|die)\b|\bwhether i live or die\b"),
    Rule("suicide_intent", "what alone holds one back", "mine",
         r"\bonly (?:reason|thing) (?:\w+ ){0,3}(?:(?:im|i am) (?:still )?(?:here|alive|around|living|breathing)|i "
         r"(?:\w+ )?stay alive|keeping me (?:alive|here|from (?:doing )?it)|keeps me alive)\b"),
    Rule("passive_ideation", "to leave the world", "mine",
         r"\b(?:leav(?:e|ing)|abandon(?:ing)?|escap(?:e|ing)) (?:this|the) (?:world|earth|planet)\b"),
    Rule("passive_ideation", "death beside despair", "writer",
         r"\bDESPAIR\b[^.!?]{0,80}\bDEATH\b|\bDEATH\b[^.!?]{0,80}\bDESPAIR\b"),
    Rule("self_harm", "a blade beside despair", "writer",
         r"\bDESPAIR\b[^.!?]{0,60}\b(?:cutting|razors?|blades?|my wrists?|noose)\b|\b(?:cutting|razors?|blades?|my "
         r"wrists?|noose)\b[^.!?]{0,60}\bDESPAIR\b"),
    Rule("concern_for_other", "somebody close may die", "kin",
         r"\b(?:want|going|gonna|threaten|try|tries|trying|tried|plan|think|thought|talk|contemplat|consider)\w* "
         r"(?:\w+ ){0,3}(?:(?:KILL|hurting|hurt) THEM|SUICIDE|end(?:ing)? (?:his|her|their) (?:own )?life|to "
         r"die)\b|\b(?:is|are|feel\w*|been|being) (?:\w+ )?SUICIDE\b(?<=al)|\battempted SUICIDE\b"),
    Rule("concern_for_other", "somebody close hurts themselves", "kin",
         r"\b(?:cut|cuts|cutting|hurts|hurting|harms|harming) THEM\b|\bself ?harm\w*|\b(?:took|taken|swallowed|"
         r"overdosed on) (?:\w+ ){0,4}pills\b"),
    Rule("concern_for_other", "somebody close is suicidal", "any",
         r"\b(?:my|our|multiple|several|have a|have some) (?:\w+ )?SUICIDE\b(?<=al) KIN\b"),
)
# fmt: on

_ACT = (
    r"(?:KILL MYSELF|(?:commit\w* |attempt\w* )?SUICIDE|self ?harm\w*|(?:hurt|harm|cut)\w* MYSELF|"
    r"(?:end|tak)\w* my (?:own )?life|overdos\w*|end(?:ing)? it(?: all)?|die|dying|be dead)\b"
    r"(?! (?:yet|today|tonight|now|until|because|but|only|more)\b)"
)
DENIALS = (
    r"\b(?:not|never|no longer|wasnt|aint|dont feel|havent been) (?:been |feeling |felt )?(?:\w+ly )?"
    r"(?:been |feeling )?SUICIDE\b(?<=al)",
    rf"\b(?:(?:would|will|could|id|ill) (?:never|not)|wouldnt|wont|never) (?:(?:ever|even|actually) ){{0,2}}{_ACT}",
    r"\b(?:not|never|dont|didnt|havent|wasnt|wouldnt|wont) (?:(?:even|ever|really|actually|seriously|once) ){0,2}"
    r"(?:going|gonna|want\w*|wanna|ready|need|plan\w*|try\w*|tried|intend\w*|mean|about|think\w*|thought|consider\w*|"
    rf"contemplat\w*|had|have) (?:(?:i|to|on|of|about|any|want|thoughts|doing) ){{0,3}}{_ACT}",
    rf"\b(?:no|zero|any) (?:\w+ )?(?:intention|plan|desire|wish|urge|thought)s? (?:of|to|about|for) {_ACT}",
    r"\b(?:dont|never|havent|not) (?:ever )?self ?harm\w*(?! (?:until|before)\b)",
    r"\b(?:no|havent any) SUICIDE (?:thought|feeling|urge|ideation|tendenc)\w*",
)
"""Clear denials. They are removed before the rules are applied, so the words beside them still count."""

FIGURES = (
    r"\b(?:die|dead|died|dying|kil+(?:ing|ed)? MYSELF) (?:of |from |with )?(?:laugh\w*|cringe|embarrassment|"
    r"boredom|cuteness)",
    r"\b(?:cut|cutting|hurt|burn|burned) (?:myself )?(?:(?:while |when )?(?:i was )?(?:shaving|cooking|slicing|"
    r"chopping|peeling|playing|running|training|climbing|lifting)|some slack|off|short)\b",
    r"\b(?:read|book|article|movie|film|novel|song|understand|oppose|died|dies) (?:\w+ ){0,4}SUICIDE\b",
    r"\bend up\b|\bshot myself in the foot\b",
    r"\bkil+ing myself (?:to (?:maintain|get|make|finish|keep|meet)|at (?:work|the gym)|over this)\b",
)
"""Figures of speech that mean something else; removed before the rules are applied."""

_MINE = r"i|im|ive|id|ill|my|me|myself|mine"
_OTHERS = "hes?|shes?|they(?:re)?|whos?|people|person|some(?:one|body)|anyone|others|those|KIN|your|his|"
_OTHERS += "their|name|cat|dog"


def _compile_rule(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub("[A-Z_]{3,}", lambda word: WORDS[word[0]], pattern))


_COMPILED = tuple((rule, _compile_rule(rule.said)) for rule in RULES)
_LEFT_OUT = _compile_rule("|".join((*FIGURES, *DENIALS)))
_SUBJECT = _compile_rule(
    rf"\b(?:({_MINE}|as (?:someone|somebody|a person) who)|{_OTHERS}|you(?:re|d|ve)?(?=(?: \w+){{0,4}} ?$))\b"
)
_SOMEBODY_CLOSE = _compile_rule(r"\bmy (?:\w+ ){0,3}?KIN\b|\bfriends? of mine\b|\b(?:hes|shes)\b")
_REACH = 160  # how many characters before the words their subject is looked for
_ELIDED = 9  # after how many words without a subject "I" is no longer taken as left out ("just want to die")

_APOSTROPHE = re.compile("['`\u00b4\u02bc\u02b9\u2018\u2019\u201b\u2032\uff07]")
_TAGS_AND_EMPHASIS = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|\*\*|__|~~|`+|(?<![\w*])[*_](?=\w)|(?<=\w)[*_](?![\w*])")
_DISGUISES = (
    (re.compile(r"[-_/~\"\u201c\u201d()\[\]|]+|\.{2,}|\u2026"), " "),
    (re.compile(r"\b(?:[a-z][ .*]){2,}[a-z]\b"), lambda found: re.sub("[ .*]", "", found[0])),
    (re.compile(r"(?<=[a-z])[1*340](?=[a-z])"), lambda found: "iieao"["1*340".index(found[0])]),
    (re.compile(r"([a-z])\1{2,}"), r"\1"),
    (re.compile(r"\s+"), " "),
)

_FOR_YOU = (
    "It sounds as if you may be going through something very hard. You deserve to talk to a person about it, now. "
    "I am a machine and can't replace that."
)
_FOR_THEM = (
    "It sounds as if somebody close to you may be in danger. These people can tell you how to help, and they are "
    "there for you too. I am a machine and can't replace that."
)


@dataclass(frozen=True, slots=True)
class Safety:
    """The route to human help, for an answer."""

    rule: str
    """Name of the rule that recognised the statement."""
    message: str
    resources: tuple[str, ...]


def notice_crisis(text: str, country: str | None = None) -> Safety | None:
    """The route to help if `text` says that its writer, or somebody close, may come to harm; else None.

    >>> notice_crisis("I don't want to live anymore").rule
    'wish_to_die'
    >>> notice_crisis("I want to kill myself", "US").resources[0]
    'Call or text 988 (Suicide & Crisis Lifeline)'
    >>> notice_crisis("My sister says she wants to end her life").rule
    'concern_for_other'
    >>> notice_crisis("Ich will mich umbringen").rule, notice_crisis("I want to <b>kill</b> myself").rule
    ('suicide_intent', 'suicide_intent')
    >>> notice_crisis("I nearly died laughing") is None
    True
    >>> notice_crisis("I'm not suicidal, I just need a holiday") is None
    True
    """
    plain = _plain(text)
    name = _find_statement(_LEFT_OUT.sub(" , ", plain)) or find_foreign_statement(plain)
    if name is None:
        return None
    message = _FOR_THEM if name == "concern_for_other" else _FOR_YOU
    return Safety(name, message, tuple(line.says for line in crisis_lines(country)))


def _find_statement(plain: str) -> str | None:
    """The rule that a text in English meets."""
    for rule, said in _COMPILED:
        if any(_is_meant(rule, plain, found) for found in said.finditer(plain)):
            return rule.name
    return None


def _plain(text: str) -> str:
    """The text in lower case, without apostrophes, drawn-out words and disguised letters.

    >>> _plain("I\\u2019m sooooo tired... k i l l, su1c1de")
    'im so tired kill, suicide'
    """
    text = _TAGS_AND_EMPHASIS.sub("", unescape(unescape(text)))
    text = clean(_APOSTROPHE.sub("", text)).lower()
    for disguise, instead in _DISGUISES:
        text = disguise.sub(instead, text)
    return text


def _is_meant(rule: Rule, plain: str, found: re.Match[str]) -> bool:
    """Whether the nearest subject before the match is the one that the rule requires."""
    if rule.whose == "any":
        return True
    sentence = re.split("[.!?]", plain[max(0, found.start() - _REACH) : found.start()])[-1]
    if rule.whose == "kin":
        return bool(_SOMEBODY_CLOSE.search(sentence))
    inside = [subject[1] for subject in _SUBJECT.finditer(found[0] + " ")]
    before = [subject[1] for subject in _SUBJECT.finditer(sentence)]
    if inside or before:
        return (inside or before)[-1] is not None
    return rule.whose == "mine" and len(sentence.split()) <= _ELIDED

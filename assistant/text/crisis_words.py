"""Crisis words in German, French and Spanish: first-person statements, and fear for somebody close.

Texts are in lower case, without accents, umlauts and apostrophes ("jai", "wurde", "manana"). The statements name
the writer themselves ("mich", "me"), so no subject is looked for. `scripts/crisis/GUIDELINE.md` says what counts.
"""

from __future__ import annotations

import re
import unicodedata

# fmt: off
STATEMENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "de": (
        ("suicide_intent",
         r"\b(?:mich|mir|meinem leben) (?:(?:selbst|selber|einfach|jetzt|heute|bald|endlich|wirklich|nur|noch|"
         r"am|liebsten|doch|vielleicht|manchmal|schon|dann|was) ){0,4}(?:um(?:zu)?bringen|umbringe|toten|"
         r"toeten|tote|das leben (?:zu )?(?:nehmen|nehme)|(?:ein|das) ende (?:zu )?(?:setzen|setze|machen|"
         r"mache|bereiten))\b|\b(?:bring|bringe|brachte|bracht) mich (?:(?:jetzt|heute|selbst|selber|noch|echt|"
         r"einfach|bald|dann|irgendwann|morgen) ){0,3}um\b(?! (?:den|die|das|meine|mein|vor)\b)|\bnehm?e? mir "
         r"(?:\w+ ){0,3}das leben\b|\bmein leben (?:(?:zu|jetzt|einfach|selbst) ){0,2}(?:beenden|beende)\b|"
         r"\bschluss (?:zu )?machen mit (?:dem|meinem) leben\b|\b(?:bin|fuhle mich|fuhl mich|war|werde) (?:\w+ "
         r"){0,3}(?:suizidal|suizidgefahrdet|selbstmordgefahrdet|lebensmude)\b|\b(?:suizid|selbstmord) "
         r"?gedanken?\b|\b(?:denk\w*|dachte|uberleg\w*|gedanken|gedacht|plane|kurz|nah\w*) (?:(?!ihre|seine|"
         r"dein|eure)\w+ ){0,4}(?:suizid|selbstmord)\b(?! (?:von|der|des|in|unter)\b)|\b(?:suizid|selbstmord) "
         r"(?:begehen|zu begehen|machen)\b|\bmir (?:\w+ ){0,5}das leben (?:zu )?(?:nehmen|nehme)\b|\bbring\w* "
         r"(?:i |ick )?(?:mir|mi) (?:\w+ )?um\b|\b(?:mich|mi) (?:\w+ )?(?:kill\w*|auslosch\w*)\b|\b(?:mach\w*|"
         r"bin) (?:ich )?mich (?:\w+ )?weg\b|\bfreitod\b(?! (?:von|des|der)\b)|\b(?:mir|ma|mer) (?:\w+ "
         r"){0,2}(?:was|etwas|wos) (?:an(?:zu)?tu\w*|antoa)\b|\b(?:suizid|selbstmord) (?:ist|is|war|scheint|"
         r"bleibt) (?:\w+ ){0,4}(?:einzige|beste|letzte|einfachste)\w*\b|\bwie man sich (?:\w+ "
         r"){0,2}umbringt\b|\bschluss mit (?:dem|meinem) leben\b|\bs labe (?:ne|nae|neh|nah|nahme)\b"),
        ("plan_or_means",
         r"\bmich (?:\w+ ){0,4}(?:erhangen|erhaengen|erhange|aufhangen|aufhaengen|aufhange|erschiessen|"
         r"erschiesse|vergiften|ertranken|vor (?:den|einen|die) (?:\w+ )?(?:zug|bahn|ubahn|s bahn|auto|lkw)|"
         r"vom dach|von der brucke|aus dem fenster)\b|\b(?:spring\w*|geh\w*|lauf\w*|werf\w*|leg\w*) (?:\w+ "
         r"){0,4}(?:von der brucke|vom dach|vom hochhaus|vor (?:den|einen) zug|auf die (?:gleise|schienen)|aus "
         r"dem fenster)\b|\b(?:von der brucke|vom dach|vor (?:den|einen) zug|auf die (?:gleise|schienen)|aus "
         r"dem fenster) (?:zu )?(?:spring\w*|werf\w*|leg\w*)\b|\b(?:meinen?|einen?|den) "
         r"abschiedsbrief(?:e)?\b(?! (?:von|des|der|einer|eines)\b)|\bpulsadern (?:auf\w*|zu)\b|\bmir (?:\w+ "
         r"){0,2}(?:die|eine|ne) kugel (?:zu )?(?:geben|gebe|jag\w*|verpass\w*|in)\b|\bmir (?:\w+ ){0,2}(?:den|"
         r"einen|nen) strick (?:zu )?(?:nehm\w*|kauf\w*|geb\w*)\b|\bmich (?:\w+ )?(?:vorn|vors|vor n|vor nen|"
         r"untern|unter n|unter den) (?:zug|bahn|ubahn|sbahn|lkw|laster|tram)\b|\b(?:strick|seil) (?:gekauft|"
         r"besorgt)\b|\b(?:spring\w*|gesprungen|gsprunge) (?:\w+ ){0,3}(?:ausm|aus dem|vom|von der) (?:fenster|"
         r"dach|balkon|brucke|parkhaus|hochhaus)\b|\b(?:vom|von der|ausm) (?:parkhaus|dach|brucke|balkon|"
         r"fenster) gesprungen\b|\b(?:an|gegen) (?:nen|den|einen|die|ne|n) (?:baum|bruckenpfeiler|mauer|wand|"
         r"pfeiler) (?:fahr\w*|knall\w*|setz\w*|lenk\w*)\b|\b(?:handgelenke?|pulsadern?) (?:\w+ ){0,2}(?:offen|"
         r"aufgeschnitten|aufschneid\w*)\b"),
        ("overdose",
         r"\b(?:alle|ganze|zu viele|zuviele|viel zu viele|packung|schachtel|handvoll|\d{2,}) (?:\w+ "
         r"){0,3}(?:tabletten|schlaftabletten|pillen|medikamente)\b|\b(?:schlaftabletten|tabletten|pillen) "
         r"(?:\w+ ){0,3}(?:auf einmal|zu sterben|damit (?:\w+ ){0,3}(?:vorbei|ende))|\b(?:uberdosis|"
         r"ueberdosis) (?:\w+ ){0,2}(?:genommen|nehmen|geschluckt)\b|\balli (?:tablette|pille)\b|"
         r"\b(?:letzte\w*|meine|ne|eine) (?:\w+ )?(?:uberdosis|ueberdosis)\b(?! (?:an|von|zucker|kaffee)\b)|"
         r"\b(?:insulin|tabletten|pillen) (?:\w+ ){0,2}absichtlich\b"),
        ("attempt",
         r"\b(?:versucht|versuche|versuch) (?:\w+ ){0,3}(?:mich|mir) (?:\w+ ){0,3}(?:umzubringen|zu toten|das "
         r"leben zu nehmen|zu erhangen)\b|\b(?:mein\w*|ein\w*|nach|zweite\w*|letzte\w*) (?:suizid|selbstmord) "
         r"?versuch\w*|\bwollte mich (?:\w+ ){0,3}umbringen\b"),
        ("wish_to_die",
         r"(?<!\ber )(?<!\bsie )(?<!\bes )(?<!\bman )\b(?:will|mocht\w*|mocht|moecht\w*|wollt\w*|wurd\w*|"
         r"wuerd\w*|konnt\w*|lieber|liebsten|einfach|nur|bereit) (?:(?:ich|nur|noch|einfach|am|liebsten|"
         r"endlich|gerne?|jetzt|so|lieber|auch|manchmal|wirklich|schon|echt|bitte|zu|tot und) ){0,5}(?:sterben|"
         r"tot sein|verrecken|krepieren)\b(?! (?:vor|fur|ohne)\b)|\b(?:war|ware|waer|waere|wunscht\w*|"
         r"wuenscht\w*|hoff\w*|besser|liebsten|lieber) (?:(?:ich|doch|nur|am|liebsten|lieber|einfach|besser|"
         r"schon|jetzt|dass|das|mir|war|ware|waere|wenn|es) ){1,5}(?:tot|nie geboren|nicht geboren|gestorben|"
         r"sterbe)\b|\b(?:will|mocht\w*|moecht\w*|kann|mag|wollt\w*) (?:(?:ich|so|einfach|auch|wirklich|echt|"
         r"schon|halt) ){0,3}(?:nicht|nimmer|nimma|ned|net) (?:(?:mehr|langer|laenger|so|weiter|einfach|auf "
         r"dieser welt|hier) ){0,3}(?:leben|weiterleben|existieren|da sein|dasein|am leben sein)\b|\bsterben "
         r"(?:will|mochte|moechte)\b|\bnicht mehr (?:weiter)?leben (?:will|mochte|moechte|wollen)\b|"
         r"\b(?:todeswunsch|todessehnsucht)\b|\b(?:wu|wui|wull|mog|mag|kau|ko) (?:i )?(?:afoch |oafach "
         r")?(?:nimma|nimmer|ned mehr|nid mehr|numme) (?:\w+ )?(?:lebn|leben|labe|sein)\b|\b(?:war|ware|waer|"
         r"waere) (?:so |am )?(?:gern|gerne|liebsten|lieber|besser) tot\b|\btrotzdem sterben\b|\btot "
         r"sein\b[^.!?]{0,50}\bwill ich\b|\b(?:wott|wett|will|wot) (?:\w+ ){0,2}(?:starbe|sterbe|nimme labe|"
         r"numme labe)\b|\bkein\w* (?:bock|lust) (?:mehr )?(?:auf|am) (?:das |mein |s )?leben\b"),
        ("passive_ideation",
         r"\b(?:nicht|nie|nimmer|nie wieder) (?:\w+ )?(?:mehr )?(?:aufwachen|aufzuwachen|aufwache)\b(?! "
         r"(?:musste|um|vor|so|morgen fruh)\b)|\b(?:kein\w*|null) (?:\w+ )?(?:grund|sinn|lust|"
         r"kraft)\b[^.!?]{0,25}\b(?:zu leben|weiter ?zu ?leben|weiterzuleben|am leben)\b|\b(?:ohne mich|wenn "
         r"ich (?:\w+ ){0,3}(?:tot|weg|nicht mehr da|nicht mehr)) (?:\w+ ){0,4}(?:besser|glucklicher|"
         r"leichter)\b|\b(?:besser|glucklicher|leichter) (?:\w+ ){0,3}(?:ohne mich|wenn ich (?:\w+ "
         r"){0,3}(?:tot|weg|nicht mehr))\b|\bnicht mehr (?:da|hier|am leben) (?:sein|bin|ware|waere)\b|\bwozu "
         r"(?:\w+ ){0,3}(?:noch )?(?:leben|lebe)\b|\b(?:fur immer|einfach|ewig) (?:ein)?schlafen\b|\bleben "
         r"(?:ist )?(?:\w+ ){0,3}nicht (?:mehr )?lebenswert\b|\bnicht mehr (?:aufwach\w*|wach werd\w*)\b|"
         r"\b(?:nur|bloss|doch|allen|jedem) (?:noch )?(?:eine|ne|zur) last\b|\b(?:wenn|ob) (?:i|ich) (?:nimma|"
         r"nimmer|numme|numm|nicht mehr) (?:da|hier) (?:bin|war|ware|waer)\b|\ban (?:dem|meinem) leben (?:hang|"
         r"hange|haeng)\w* (?:\w+ )?nicht\b"),
        ("self_harm",
         r"\b(?:mich|mir) (?:\w+ ){0,4}(?:ritz\w*|geritzt|selbst ?verletz\w*|selber ?verletz\w*|die arme "
         r"auf\w*|in den arm)\b|\britze? (?:ich )?mich\b|\bich (?:\w+ ){0,3}ritze\b|\bwieder geritzt\b|"
         r"\bselbstverletz\w*|\bverletz\w* mich (?:\w+ )?(?:selbst|selber)\b|\bmich (?:\w+ )?(?:schneide|"
         r"schneiden|geschnitten)\b(?! (?:beim|an|am)\b)|\bschneid\w* (?:ich )?mir (?:\w+ ){0,2}(?:in|die|"
         r"den)\b|\bmir (?:\w+ ){0,3}(?:wehtun|weh tun|wehzutun)\b|\b(?:muss|will|mochte|wollte) (?:ich )?mich "
         r"(?:\w+ ){0,2}verletzen\b|\b(?:zigarett\w*|kippen?) (?:\w+ ){0,2}(?:auf|an) mein\w* (?:arm\w*|haut|"
         r"bein\w*)\b|\b(?:rasierklinge|klinge|rasierer|messer)\w* (?:\w+ ){0,4}(?:meine[nm]?|den|die|am) "
         r"(?:arm\w*|haut|bein\w*|bauch|oberschenkel)\b|\bwo ich (?:noch )?schneiden\b"),
        ("concern_for_other",
         r"\b(?:mein|meine|meiner|meinem|unser\w*) (?:\w+ )?(?:freund\w*|bruder|schwester|mutter|mama|vater|"
         r"papa|sohn|tochter|kind|mann|frau|partner\w*|ex|cousin\w*|onkel|tante|kolleg\w*|oma|"
         r"opa)\b[^.!?]{0,60}\b(?:sich (?:\w+ ){0,3}(?:umbringen|umzubringen|toten|das leben nehmen|ritzt|"
         r"ritzen|erhangen)|bringt sich um|sterben (?:will|mochte)|will (?:\w+ ){0,2}(?:sterben|nicht mehr "
         r"leben)|suizidal|suizid\w*|selbstmord\w*|(?:tabletten|pillen) (?:genommen|geschluckt))\b|\b(?:droht|"
         r"drohte|sagt|meint|meinte|schreibt|geschrieben)\b[^.!?]{0,50}\b(?:sich (?:\w+ ){0,2}(?:antun|anzutun|"
         r"umzubringen|umbringt)|hangt sich auf|tot sein (?:mochte|will)|nimmer aufwacht|nicht mehr "
         r"aufwacht)\b|\b(?:tochter|sohn|bua|freund\w*|schwester|bruder|cousin\w*|schuler\w*|"
         r"kind)\b[^.!?]{0,40}\b(?:ritzt sich|si (?:\w+ )?in arm gschnitt\w*|schnitte am arm)\b|\bvom starbe "
         r"wolle\b"),
    ),
    "fr": (
        ("suicide_intent",
         r"\b(?:me|m) ?(?:(?:re)?suicider|pendre|flinguer|foutre en lair)\b|\b(?:veux|voudrais|vais|envie de|"
         r"pens\w+ a|besoin de|finir par|pourrais|devrais|comment|facon de|moyen de|force de|courage de|songe "
         r"a|aimerais|prefere|dois|jveux|jvais) (?:\w+ )?(?:me|moi meme) (?:tuer|buter)\b(?! (?:a|au|pour|en|"
         r"de|dans)\b)|\bje (?:\w+ ){0,3}me suicide\b|\b(?:mettre|mets|mis|mettrai|mettrais) (?:un terme|fin) "
         r"a (?:mes jours|ma vie|tout ca)\b|\ben finir (?:avec (?:la vie|ma vie)|une bonne fois|pour de bon|"
         r"definitivement)|\b(?:moter|menlever|me prendre|me retirer|moterai) la vie\b|\bme donner la mort\b|"
         r"\b(?:pensees?|idees?|envies?|pulsions?|penchants?) (?:\w+ )?suicidaires?\b|\b(?:suis|sens|deviens|"
         r"redeviens|serais) (?:\w+ ){0,2}suicidaires?\b|\b(?:pens\w+|song\w+|envisag\w+|reflechi\w*|envie|"
         r"idee|bord|tente\w*|commettre) (?:\w+ ){0,4}(?:au|le|du|de|mon|un) ?suicide\b(?! (?:de|dun|dune|des|"
         r"collectif|assiste)\b)|\bj(?:e )?(?:veu|veux|vais|vas|va) (?:\w+ )?(?:me|m) ?(?:tuer|suicider|pendre|"
         r"buter|flinguer)\b|\bj(?:e )?me (?:bute|flingue|fous en lair|supprime|pends|tue ce soir)\b|\bme "
         r"(?:supprimer|crisser en bas)\b|\b(?:foutue?|fout) en lair\b(?<!tout foutu en lair)|\b(?:dm|m) ?oter "
         r"la vie\b|\b(?:comment|facons? de|moyens? de) m ?tuer\b"),
        ("plan_or_means",
         r"\bme (?:jeter|balancer|foutre) (?:\w+ ){0,2}(?:sous|devant|du|dans|par|d[ue]) (?:\w+ ){0,3}(?:train|"
         r"metro|rer|tram|pont|toit|balcon|fenetre|vide|seine|camion|voiture|immeuble)\b|\bsaut\w+ (?:\w+ "
         r"){0,2}(?:du|dun|par|de) (?:\w+ ){0,3}(?:pont|toit|balcon|fenetre|immeuble|etage)\b|\bme (?:tirer|"
         r"mettre|coller|foutre) une balle\b|\b(?:mouvrir|me tailler|me couper|me trancher|mouvre) les "
         r"(?:veines|poignets)\b|\b(?:ma|une|mes|la) lettres? dadieux?\b(?! (?:de|du|dun)\b)|\b(?:corde|arme|"
         r"fusil|comprimes|medocs)\b[^.!?]{0,40}\b(?:me pendre|me tuer|en finir|me suicider|mourir)\b|\b(?:ce "
         r"soir|demain|dimanche|cette nuit|la) je (?:saute|me jette|me pends|me tue)\b|\bje "
         r"saute\b[^.!?]{0,20}\b(?:etage|pardon|adieu)\b|\bje me tire une balle\b|\bmon corps dans\b|\bfoncer "
         r"dans (?:un|le) (?:\w+ )?(?:arbre|platane|mur|pilier|camion)\b|\bje serai morte?\b|\bma mort je la\b|"
         r"\ble train\b[^.!?]{0,20}\bje passe dessous\b"),
        ("overdose",
         r"\b(?:aval\w+|pri[st]\w*|prendre|gob\w+|bu) (?:\w+ ){0,3}(?:boites?|tous|toutes|plein|trop|poignee|"
         r"plaquettes?|tablettes?|flacon|\d{2,}) (?:\w+ ){0,4}(?:medicaments?|medocs?|cachets?|somniferes?|"
         r"comprimes?|pilules?|xanax|dolipranes?|doliprane|lexomil)\b|\boverdose (?:de|volontaire)\b|"
         r"\b(?:somniferes?|cachets?|comprimes?|medocs?|medicaments|pilules)\b[^.!?]{0,60}\b(?:pour les "
         r"prendre|je les prends tous|je les avale|je reveille (?:pu|plus|pas)|me reveille (?:pu|plus|pas))\b|"
         r"\bcombien de (?:cachets|comprimes|medocs)\b[^.!?]{0,40}\b(?:mourir|reveille|reveiller)\b"),
        ("attempt",
         r"\b(?:ma|une|deux|plusieurs|ma premiere|derniere) (?:\w+ )?(?:ts|tentatives? de suicide)\b(?! (?:de|"
         r"du|dun|dune)\b)|\b(?:j(?:ai|avais) (?:\w+ ){0,2}(?:essay\w+|tent\w+|failli)|jessa\w+) (?:de )?(?:me "
         r"(?:tuer|suicider|pendre)|mettre fin a mes jours|den finir|mourir)\b|\bje me suis (?:\w+ "
         r")?(?:pendue?|jetee? (?:devant|sous|du|dun|dans|par)|ouvert les veines|taille les veines|tailladee?|"
         r"tire (?:une balle|dessus)|ratee?)\b"),
        ("wish_to_die",
         r"\b(?:veux|voudrais|voulais|vx|aimerais|envie|besoin|prefere\w*|souhait\w+|reve|jveux|attends?|hate|"
         r"prete?|laisse\w*|merite) (?:(?:de|d|que|juste|seulement|vraiment|tellement|trop|plus|simplement|"
         r"bien|envie|moi|enfin|deja|la|tout|parfois|souvent|plutot|qu|je|me|a) ){0,5}(?:mourir|crever|claquer|"
         r"la mort|etre morte?|etre mort\.?e)\b(?! (?:de|d|pour|vieux|vieille|a|en|le|dans|riche|rire)\b)|"
         r"\b(?:mieux|preferable) (?:\w+ ){0,3}mort(?:e|\.e)?\b|\b(?:jetais|je sois|je serais mieux|si jetais) "
         r"(?:\w+ )?morte?\b(?! de\b)|\b(?:veux|voudrais|peux|veut|envie|supporte|arrive|jveux|force|gout|"
         r"sais) (?:(?:juste|vraiment|meme|de|a|pas) ){0,2}(?:plus|pas) (?:(?:de|a|continuer|vraiment|envie|du|"
         r"tout|la force|le gout) ){0,4}(?:vivre|exister|etre (?:la|en vie|ici|de ce monde))\b(?! (?:a|en|avec|"
         r"chez|dans|seule?|ensemble|ici|sans)\b)|\bplus (?:\w+ )?(?:envie|gout|force)s? (?:de |a )?(?:vivre|"
         r"la vie|continuer a vivre)\b|\bjamais (?:ete )?nee?\b|\benvie de (?:mourir|crever)\b(?! de\b)|"
         r"\bj(?:e )?(?:veux|veu|ai|voudrais|peux) (?:\w+ )?pu (?:\w+ ){0,2}(?:etre en vie|vivre|envie de "
         r"vivre|etre la)\b|\b(?:jms|jamais|pas) du naitre\b|\b(?:voudrais|veux|aimerais|prefererais) (?:\w+ "
         r"){0,2}pas (?:exister|etre nee?|etre la)\b|\bj ?attends la mort\b|\bla vie je nen veux plus\b|\bpas "
         r"envie de continuer a vivre\b|\b(?:mon coeur|tout) sarrete pendant la nuit\b"),
        ("passive_ideation",
         r"\b(?:plus|jamais|pas) (?:\w+ ){0,2}me reveiller\b(?! (?:a|en|avec|tot|tard|ce)\b)|\b(?:aucune?|plus|"
         r"pas|quelle|sans) (?:\w+ ){0,2}(?:raisons?|sens|interet|but|force|courage) (?:\w+ ){0,2}(?:de|a|"
         r"pour) (?:continuer a )?(?:vivre|exister|rester en vie)\b|\b(?:mieux|heureux|heureuse|tranquilles?|"
         r"soulages?|facile) (?:\w+ )?(?:sans moi|si (?:je |j)(?:\w+ ){0,3}(?:plus (?:la|de ce monde)|morte?|"
         r"disparais\w*))\b|\bsans moi\b[^.!?]{0,30}\b(?:mieux|heureux|tranquilles?|debarrasses?)\b|"
         r"\b(?:disparaitre|dormir|mendormir) (?:\w+ )?(?:pour toujours|a jamais|pour de bon|definitivement)\b|"
         r"\bla vie (?:\w+ ){0,3}(?:vaut|valait) (?:plus|pas) (?:\w+ ){0,3}(?:vecue|peine)\b|\b(?:fatigue|"
         r"fatiguee|epuisee?|marre|lasse?|ras le bol) (?:de |d)(?:vivre|exister|etre en vie|la vie)\b|\bsi je "
         r"(?:ne )?me reveillais (?:pas|plus|jamais)\b|\b(?:mieux|tranquilles) apres mon enterrement\b|\bplus "
         r"cher vivante? que morte?\b|\bme (?:prend|renverse|ecrase) tant mieux\b"),
        ("self_harm",
         r"\bme (?:\w+ )?(?:scarifi\w+|mutil\w+|lacer\w+|taillad\w+|entaill\w+|blesser expres)\b|\bme "
         r"(?:coup\w+|brul\w+) (?:\w+ )?(?:les bras|le bras|les cuisses|les veines|les poignets|expres|"
         r"volontairement|la peau)\b|\bme fai\w+ (?:\w+ )?(?:du )?mal (?:expres|volontairement|a moi meme|"
         r"physiquement)\b|\b(?:auto ?mutil\w+|scarifications?|scarifi\w+)\b(?! (?:chez|des|dans)\b)|\bje me "
         r"coupe(?= *(?:$|[.,!?]))|\bje me coupe (?:les|la peau|pour|quand|encore|depuis)\b(?! (?:cheveux|"
         r"ongles)\b)|\bj(?:e )?me brule (?:avec|la peau|les|expres|au)\b|\bme (?:tape|cogne|frappe) la tete "
         r"(?:contre|dans)\b|\blames?\b[^.!?]{0,60}\b(?:avant bras|poignets?|cuisses?|bras)\b|\b(?:lecrase|"
         r"lecrasais|ecrase ma clope) sur mon bras\b|\bje me (?:punis|frappe|mords)\b[^.!?]{0,40}\b(?:jambes|"
         r"bras|ceinture|sang)\b"),
        ("concern_for_other",
         r"\b(?:mon|ma|mes|notre|un|une) (?:\w+ )?(?:amie?s?|pote|frere|soeur|mere|maman|pere|papa|fils|fille|"
         r"mari|femme|copain|copine|enfant|cousine?|collegue|ex|conjointe?|chum|blonde|voisine?|"
         r"eleve)\b[^.!?]{0,60}\b(?:se (?:suicider|tuer|pendre|scarifi\w+|mutil\w+|jeter)|sest (?:scarifie\w*|"
         r"mutile\w*)|mettre fin a ses jours|en finir avec la vie|veut (?:\w+ ){0,2}(?:mourir|plus vivre)|"
         r"envie de mourir|suicidaires?|tentative de suicide|une ts)\b|\b(?:elle|il|mamie|papy|mamy) (?:\w+ "
         r"){0,2}(?:dit|repete|crie)\b[^.!?]{0,30}\b(?:veut mourir|va se (?:couper les veines|tuer|pendre|"
         r"suicider|jeter)|plus de raison detre la)\b|\bcopine\b[^.!?]{0,60}\bse couper les veines\b"),
    ),
    "es": (
        ("suicide_intent",
         r"\b(?:suicidarme|suicidar me|quitarme la vida|quitarme del medio|acabar con (?:mi vida|todo esto|mi "
         r"sufrimiento|mi existencia)|terminar con mi vida|poner(?:le)? fin a (?:mi vida|todo)|matarme a mi "
         r"mism[oa])\b|\b(?:quiero|queria|quisiera|voy a|ganas de|piens\w+ en|pens\w+ en|deseo|podria|deberia|"
         r"necesito|a punto de|gustaria|como|forma de|manera de|planeo|prefiero|capaz de|valor (?:de|para)) "
         r"(?:\w+ )?matarme\b(?! (?:a|de|en|por|estudiando|trabajando|entrenando|haciendo|con (?:el|la|los|"
         r"las) (?:trabajo|examen|gym|dieta))\b)|\bme (?:\w+ ){0,3}(?:suicido|suicidare|suicidaria)\b|\bme "
         r"(?:quiero|voy a|queria|quisiera|dan ganas de|deberia|podria) (?:\w+ )?(?:matar|suicidar|quitar la "
         r"vida)\b(?! (?:a|de|por)\b)|\bme quit\w+ la vida\b|\b(?:pensamientos?|ideas?|tendencias?|impulsos?|"
         r"ganas) (?:de )?(?:\w+ )?suicid(?:as?|arme|io)\b|\b(?:soy|siento|ando|estoy|sintiendome) (?:\w+ "
         r"){0,3}suicida\b|\b(?:piens\w+|pens\w+|consider\w+|plane\w+|idea|borde|unica (?:salida|opcion)) "
         r"(?:\w+ ){0,4}suicidio\b(?! (?:de|del|asistido|colectivo)\b)|\b(?:quiero|voy a|pienso|quisiera|"
         r"podria) cometer suicidio\b|\b(?:ya )?me (?:habria|hubiera|hubiese) (?:matado|suicidado)\b|"
         r"\b(?:desvivirme|desvivir)\b|\bme quito de en medio\b|\bsi \w[^.!?]{0,45}\bme mato\b(?! (?:de|a|por|"
         r"estudiando|trabajando)\b)|\b(?:formas?|maneras?) de (?:matarme|suicidarme|morir(?:me)?)\b"),
        ("plan_or_means",
         r"\b(?:ahorcarme|colgarme (?:de|con|del)|pegarme un (?:tiro|balazo)|darme un tiro|volarme (?:la "
         r"cabeza|los sesos)|cortarme las venas|envenenarme)\b|\bme (?:ahorco|cuelgo de|pego un tiro|corto las "
         r"venas|aviento|lanzo|tiro) (?:\w+ ){0,4}(?:puente|azotea|balcon|ventana|vias|tren|metro|soga|arbol|"
         r"edificio)\b|\b(?:tirarme|lanzarme|aventarme|saltar|arrojarme|tirar|brincar) (?:\w+ )?(?:de|del|"
         r"desde|al|a|por|bajo|enfrente) (?:\w+ ){0,3}(?:puente|azotea|balcon|ventana|vias|tren|metro|vacio|"
         r"edificio|piso|techo|camion)\b|\b(?:mi|una|la|mis) (?:cartas?|notas?) (?:de despedida|suicida|de "
         r"suicidio)\b(?! (?:de|del)\b)|\bestrellar (?:el|mi) (?:coche|carro|auto|moto)\b|\bcompre una (?:soga|"
         r"cuerda)\b[^.!?]{0,30}(?=.{0,80}\b(?:columpio|ahorc\w+|colg\w+|morir|viga)\b)|\b(?:estoy|toy) en la "
         r"azotea\b|\bel tren\b[^.!?]{0,30}\bse acaba todo\b|\bvoy a estar en el fondo del\b|\babri la llave "
         r"del gas\b"),
        ("overdose",
         r"\b(?:tom\w+|trag\w+|beb\w+|com\w+) (?:\w+ ){0,3}(?:todas?|muchas?|muchos|frascos?|botes?|cajas?|"
         r"punado|monton|blister|\d{2,}) (?:\w+ ){0,4}(?:pastillas?|medicamentos?|medicinas?|pildoras?|"
         r"somniferos?|clonazepam|paracetamol|ansioliticos)\b|\b(?:mi|tome una|tomarme una|con una|hacer una) "
         r"sobredosis\b(?! (?:de (?:azucar|cafe|amor|informacion))\b)|\b(?:me hice|hice|pa la|para la|provoque|"
         r"causarme) (?:una )?sobredosis\b|\btrag\w+ (?:\w+ ){0,4}(?:pastis?|pastillas?|frascos?)\b"),
        ("attempt",
         r"\b(?:(?:he|habia|yo|ya) (?:\w+ ){0,2}intent\w+|intente|trate de|quise) (?:\w+ )?(?:matarme|"
         r"suicidarme|quitarme la vida|ahorcarme|cortarme las venas|acabar con mi vida)\b|\b(?:mi|un|dos|"
         r"varios|tres|segundo|ultimo) (?:\w+ )?intentos? (?:de )?suicid\w+\b(?! (?:de|del)\b)|\bme (?:intente|"
         r"trate de|quise) (?:\w+ )?(?:matar|suicidar|quitar la vida|ahorcar)\b|\bme colgue (?:del?|en|con|"
         r"ayer|anoche|el)\b(?! (?:telefono|llamada)\b)"),
        ("wish_to_die",
         r"\b(?:quiero|kiero|queria|quisiera|deseo|desearia|gustaria|ganas|necesito|prefiero|preferiria|quero|"
         r"merezco|ojala|espero|dejenme|dejame|solo|lista para|listo para|mejor|toca) (?:(?:de|que|solo|ya|"
         r"simplemente|mucho|tanto|nomas|me|realmente|mejor|a veces|estar|de verdad|en serio|hoy|para|tan|yo) "
         r"){0,5}(?:morir|morirme|muera|muriera|muriese|la muerte|muert[oa]|haber muerto|desaparecer para "
         r"siempre|dejar de existir)\b(?! (?:de|d|por|en|con|vieja|viejo|a|rica|rico)\b)|\bme (?:quiero|kiero|"
         r"queria|quisiera|gustaria|dan ganas de|provoca) (?:\w+ )?(?:morir)\b(?! (?:de|d|por|a)\b)|"
         r"\b(?:estaria|estoy|estar) mejor muert[oa]\b|\bno (?:\w+ )?(?:quiero|kiero|puedo|deseo|aguanto|"
         r"soporto|tengo ganas de|quisiera|qiero) (?:(?:ya|mas|seguir|continuar|ni) ){0,3}(?:vivir|viviendo|"
         r"existir|existiendo|estar (?:viv[oa]|aqui|en este mundo)|despertar(?:me)?|levantarme nunca)\b(?! "
         r"(?:en|con|aqui|alli|lejos|cerca|sol[oa]|juntos|a|tarde|temprano)\b)|\b(?:no haber|nunca haber|nunca "
         r"hubiera|no hubiera) nacido\b|\b(?:ojala|quisiera|desearia|mejor) (?:\w+ ){0,2}(?:estuviera|"
         r"estuviese|estar) muert[oa]\b|\b(?:quiero|deseo|quisiera|unico que (?:\w+ ){0,2}es) (?:y "
         r")?morir(?:me)?(?: de una vez| ya)?(?= *(?:$|[.,!?]))|\bmorirme de una vez\b|\blo unico que (?:\w+ "
         r"){0,2}es morir\b|\b(?:no|nunca) (?:\w+ ){0,3}haber nacido\b|\besper(?:ar|ando) la muerte\b|"
         r"\b(?:quisiera|quiero|gustaria|solo) no existir\b|\bya no quiero esta vida\b|\bno deje ver el "
         r"amanecer\b"),
        ("passive_ideation",
         r"\b(?:no|nunca|jamas) (?:\w+ ){0,2}(?:volver a )?despertar(?:me|a)?\b(?! (?:a|en|con|tarde|temprano|"
         r"sospechas?)\b)|\b(?:no|ninguna?|sin|que) (?:\w+ ){0,3}(?:razon|razones|motivos?|ganas|sentido|"
         r"fuerzas) (?:\w+ ){0,2}(?:para|de|por|a) (?:seguir )?(?:vivir|viviendo|vivo|viva|existir|la vida)\b|"
         r"\b(?:mejor|felices|tranquilos|bien|facil) (?:\w+ )?(?:sin mi|si yo no|si no (?:estuviera|existiera|"
         r"estoy)|si me (?:muero|muriera|matara)|si yo (?:muriera|desapareciera))\b(?= *(?:$|[^\w ]|"
         r"[a-z]))(?<!sin mi familia)|\b(?:dormir|dormirme) (?:\w+ ){0,2}(?:para siempre|y no despertar|"
         r"eternamente)\b|\b(?:cansad[oa]|hart[oa]) de (?:vivir|la vida|existir|esta vida|estar viv[oa])\b(?! "
         r"(?:en|con|sol[oa])\b)|\bla vida (?:\w+ ){0,3}no (?:\w+ ){0,2}(?:vale la pena|tiene sentido)\b|"
         r"\bpara que (?:\w+ )?(?:vivir|sigo viv\w+|seguir viviendo)\b|\bsi (?:manana )?no (?:me )?despierto\b|"
         r"\bno volver a abrir los ojos\b|\bmi vida no (?:\w+ )?(?:vale la pena|tiene sentido|sirve)\b|\bsi yo "
         r"no (?:estuviera|existiera) (?:en este mundo|aqui|viv[oa]|mas)?\b|\bcruzo sin mirar\b"),
        ("self_harm",
         r"\bme (?:\w+ )?(?:corto|cortaba|corte|autolesion\w*|lastimo|lastime|quemo|hago dano|hice dano|hago "
         r"cortes|rasguno)\b(?! (?:el|las unas|la llamada|un dedo|pelando|picando|afeitandome|cocinando|sin "
         r"querer|con el|la luz)\b)|\b(?:cortarme|autolesion\w*|hacerme dano|lastimarme|hacerme cortes)\b(?! "
         r"(?:el|las unas|sin querer)\b)|\bme quemo (?:\w+ ){0,3}(?:cigarr\w*|los brazos|el brazo|la piel)\b|"
         r"\bcon (?:el|un) cigarr\w* en el brazo\b|\bcabezazos contra la pared\b|\bme arranco la piel\b|"
         r"\brajarme los brazos\b|\bme (?:pego|golpeo) (?:\w+ ){0,3}hasta (?:q|que)\b|\b(?:cuter|cutter|navaja|"
         r"gillette|cuchilla)\b[^.!?]{0,80}\b(?:brazos?|munecas?|piernas?|rayas)\b"),
        ("concern_for_other",
         r"\bmi (?:\w+ )?(?:amig[oa]|hij[oa]|herman[oa]|madre|mama|padre|papa|novi[oa]|espos[oa]|marido|mujer|"
         r"prim[oa]|pareja|ex|sobrin[oa]|ti[oa]|companer[oa]|abuel[oa]|cunad[oa]|"
         r"alumn[oa])\b[^.!?]{0,60}\b(?:suicid\w+|matarse|quitarse la vida|ahorcarse|se (?:quiere|queria|va a|"
         r"quiso|intento) (?:morir|matar|quitar la vida)|se corta|cortarse|(?:quiere|queria) (?:morir(?:se)?)|"
         r"no quiere vivir|autolesiona)\b|\b(?:amenaza con|dice que|dice q|ha escrito|"
         r"quiere)\b[^.!?]{0,30}\b(?:tirarse por|quiere morirse|no quiere seguir viviendo|matarse|ya tiene la "
         r"soga|ya no le ve caso a vivir)\b|\bpololo se (?:kemo|quemo|corto)\b"),
    ),
}
"""By language: the kind of statement, and its pattern."""

LEFT_OUT = (
    # German: denials, then figures of speech
    r"\b(?:mich|mir) (?:(?:aber|ja|sicher|bestimmt|auch|doch) )?(?:nicht|nie|niemals|keinesfalls) (?:\w+ "
    r"){0,2}(?:umbringen|toten|das leben nehmen|ritzen|verletzen)\b|\b(?:nicht|nie|niemals|keine|kein) "
    r"(?:\w+ )?(?:suizidal|lebensmude|suizidgedanken|selbstmordgedanken|selbstmord|suizid|sterben|vor "
    r"mich umzubringen|umbringen)\b|\bwill (?:noch |doch |aber )?nicht sterben\b|\b(?:bericht|thema|"
    r"vortrag|fortbildung|artikel|buch|film|studie)\b[^.!?]{0,60}\b(?:suizid\w*|selbstmord\w*|"
    r"selbstverletz\w*)",
    r"\b(?:sterb\w*|tot\w*|stirb\w*|krepier\w*|bring\w* mich um) (?:fast |gerade |noch |grad |gleich "
    r")?(?:vor|fur) \w+|\bvor (?:lachen|hunger|scham|langeweile|aufregung|neugier|hitze|kalte|durst) "
    r"(?:\w+ ){0,3}(?:sterben|sterbe|umbringen|tot)\b|\bnicht dumm sterben\b|\b(?:handy|akku|batterie|"
    r"pflanze|spiel|level|boss|figur|charakter)\b[^.!?]{0,20}\b(?:tot|sterb\w*|stirbt)\b|\b(?:totlachen|"
    r"totmude)\b",
    # French
    r"\b(?:pas|jamais|aucunement|nullement) (?:du tout |vraiment |envie de |besoin de |dintention de |"
    r"pense a |question de |lintention de |lenvie de |pret a |prete a )?(?:mourir|me suicider|me tuer|"
    r"suicidaires?|didees suicidaires|de pensees suicidaires|didees noires)\b|\b(?:aucune|nulle|zero) "
    r"(?:envie|intention) de (?:mourir|me suicider|me tuer)\b|\bjamais (?:ete |tente de |essaye de |voulu "
    r"|pense a )(?:me suicider|me tuer|mourir)\b|\b(?:vais|veux|voulais|vas|risque) pas (?:de )?(?:me "
    r"(?:pendre|tuer|suicider)|mourir)\b|\bme suicide pas\b",
    r"\b(?:mourir|crever|mort\w*|meurs|creve) (?:de|d) ?(?:rire|faim|honte|soif|chaud|froid|fatigue|ennui|"
    r"sommeil|peur|vieillesse|envie|trouille|curiosite|amour|rires|jalousie|chaleur)\b|\ba mourir\b|\bme "
    r"tuer (?:a la tache|au (?:travail|boulot|sport))\b|\bbatterie\b[^.!?]{0,20}\bmorte?\b",
    # Spanish
    r"\b(?:no|nunca|jamas) (?:me )?(?:quiero|voy a|pienso|quisiera|tengo ganas de|queria|estoy pensando "
    r"en|he pensado en|intentaria|podria|se me ocurriria) (?:\w+ )?(?:morir(?:me)?|matarme|matar|"
    r"suicidarme|suicidar|quitarme la vida|hacerme dano)\b|\bno (?:soy|me siento|estoy|tengo pensamientos|"
    r"tengo ideas) (?:\w+ )?suicidas?\b|\bnunca me (?:suicidaria|mataria)\b|\bpensamientos suicidas "
    r"?\W{0,3}ninguno\b|\bentre autolesion y\b",
    r"\b(?:mor\w+|muer\w+|matarme|mat\w+) (?:de|d) (?:\w+ )?(?:risa|hambre|sed|sueno|verguenza|frio|calor|"
    r"aburrimiento|ganas|amor|miedo|pena|envidia|celos|cansancio|la risa|curiosidad|ternura|nervios)\b|"
    r"\bmuero por\b|\bmorir(?:me)? por (?:ti|el|ella|verte|un|una)\b|\ba morir\b",
)
"""Denials and figures of speech in these languages; removed before the rules are applied."""
# fmt: on

_HINT = re.compile(
    r"\b(?:ich|ick|mich|mir|mi|ma|mer|nicht|nimm|und|der|das|dem|den|des|ein|eine|mein|meine|unsere?|sich|wieder|je|"
    r"j\w*[aeiu]|de|du|la|le|les|quier\w*|kiero|voy|veux|vais|suis|corto|mato|ahorc\w*|tuer|pendre|moi|mon|mes|si|que|q|"
    r"el|los|las|yo|ya|sin|por|para|pa|se|un|une|una|dans|avec|con|y|es|est|ist|wott|hab|hob|wu|alli|freitod|toi|"
    r"nimm\w*|mag|plus|vivre|ojala|muert[oa]|lair|en|jv\w+)\b|selbstm|suizid|sterb|mourir|morir|suicid"
)
"""What no statement in these languages is without, and a text in English mostly is: a quick first look."""
_COMPILED = tuple((name, re.compile(said)) for rules in STATEMENTS.values() for name, said in rules)
_LEFT_OUT = re.compile("|".join(LEFT_OUT))


def find_foreign_statement(plain: str) -> str | None:
    """The kind of statement that a text in one of these languages makes.

    `plain` is in lower case, without apostrophes; its accents may stand.

    >>> find_foreign_statement("je veux mourir"), find_foreign_statement("ich sterbe vor lachen")
    ('wish_to_die', None)
    >>> find_foreign_statement("ya no quiero vivir más"), find_foreign_statement("no quiero vivir en madrid")
    ('wish_to_die', None)
    """
    folded = unicodedata.normalize("NFKD", plain.replace("ß", "ss").replace("œ", "oe"))
    folded = "".join(letter for letter in folded if not unicodedata.combining(letter))
    if _HINT.search(folded) is None:
        return None
    folded = _LEFT_OUT.sub(" , ", folded)
    return next((name for name, said in _COMPILED if said.search(folded)), None)

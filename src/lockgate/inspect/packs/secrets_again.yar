// What secrets.yar leaves out because no letters of it are rare: every run of digits is tried, hexadecimal ones
// at twenty times the cost of all other rules together, decimal ones at half of it. Scanned where the rule of
// the same name there matches.

rule CloudantDetector { strings: $a = /cloudant|cl[_-]?(api|pass|key|pw)/ nocase $b = /[0-9a-f]{64}|[a-z]{24}/ condition: all of them }
rule TelegramBotTokenDetector { strings: $a = /\b\d{8,10}:AA[0-9A-Za-z_-]{33}\b/ condition: $a }

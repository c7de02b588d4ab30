"""Signs of JavaScript that was written to harm, at any time and while a package is installed.

As in `code_signs`: patterns that are bounded, nothing is executed, and none may find itself in this file.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import EXFILTRATION, sign
from lockgate.inspect.inspectors.folded import HIDDEN

_ASKING = (
    r"\baxios(?:['\"]\s*\))?(?:\s*\.\s*\w+)?|\bhttps?(?:['\"]\s*\))?\s*\.\s*(?:get|request)|\bgot"
    r"|\brequest(?:\s*\.\s*\w+)?"
)
_ASKS = rf"(?:\bfetch|{_ASKING})\s*\("
"""A call that speaks to a server."""
_NAMED = rf"(?:\bfetch\s*\(\s*(?=['\"`]|atob|Buffer)|(?:{_ASKING})\s*\()"
"""The same, of a page only where its address stands there: loaders fetch parts of a page by variables."""
_RUNS = r"(?:\beval|\bnew\s+Function|\brunIn(?:This|New)?Context|\._compile)\s*\(\s*(?:['\"]\w+['\"]\s*,\s*)*"
_ANSWER = (
    r"(?:\w+\s*\.\s*)*(?:data|body|text|code|response|resp|res|r|d|s|e|chunk|chunks|payload"
    r"|content|model|result)\b"
)
_KEPT = (
    r"(?:\.npmrc|\.ssh\b|\bid_rsa\b|\bid_ed25519\b|\.aws\b|\.netrc|\.git-credentials|\.bash_history"
    r"|Login[ ]Data"
    r"|serviceaccount/token|\.docker/config|\.kube/config|keystore|exodus\.wallet)"
)

SCRIPT = (
    sign(
        "js-decoded-code", Severity.CRITICAL, "Code is decoded and run at once",
        r"\beval\s*\(\s*(?:Buffer\s*\.\s*from|atob|unescape|decodeURIComponent|String\s*\.\s*fromCharC"
        r"ode)\s*\(",
        r"\bnew\s+Function\s*\(\s*(?:Buffer\s*\.\s*from|atob)\s*\(",
        r"\beval\s*\(\s*\w{1,40}\s*\(\s*['\"][A-Za-z0-9+/=]{200,}",
        r"\bmodule\._compile\s*\(\s*(?:Buffer\.from|atob)",
        r"\bnew\s+Function\s*\([^\n()]{1,60},\s*(?:Buffer\s*\.\s*from|atob)\s*\(",
        r"\bcreateDecipher(?:iv)?\s*\([\s\S]{0,600}?\beval\s*\(",
        r"\b(?P<alias>\w{1,20})\s*=\s*(?:Function|eval)\s*[;,][\s\S]{0,400}?\b(?P=alias)\s*\(\s*(?:Buffer\s*\.\s*from|atob)\s*\(",
        r"\bspawn(?:Sync)?\s*\(\s*['\"`](?:node|python3?|sh|bash)['\"`]\s*,\s*\[\s*['\"`]-[ec]['\"`]\s*,\s*(?:Buffer\s*\.\s*from|atob)\s*\(",
        r"\bset(?:Timeout|Interval)\s*\(\s*(?:Buffer\s*\.\s*from|atob)\s*\(",
        r"\bimport\s*\(\s*['\"`]data:text/javascript[^'\"`\n]{0,20};base64,",
        r"\bexec(?:Sync)?\s*\(\s*Buffer\s*\.\s*from\s*\(\s*['\"`][^'\"`\n]{8,4000}['\"`]\s*,\s*['\"`](?:hex|base64)",
        r"\bfromCharCode\s*\(\s*\w{1,20}\s*\[[^\]\n]{1,40}\]\s*\)[\s\S]{0,200}?\beval\s*\(",
        r"\bFunction\s*\.\s*constructor\s*\(\s*['\"]require['\"]",
        r"\bnew\s+module\s*\.\s*constructor\b[\s\S]{0,300}?_compile\s*\(\s*(?:atob|Buffer|unescape|decodeURI"
        r"|new\s+TextDecoder|[\w$]{1,30}\s*\(\s*['\"`][^'\"`\n]{16})",
        r"\[\s*['\"]\w{2,12}['\"]\s*\]\s*\[\s*['\"]constructor['\"]\s*\]\s*\(\s*(?:atob|Buffer|unescape|decodeURI|['\"])",
        r"\bfromCharCode\s*\(\s*\w{1,20}\.length\s*\)[\s\S]{0,200}?\beval\s*\(",
        r"\bprocess\s*\.\s*binding\s*\(\s*['\"]spawn_sync['\"]\s*\)\s*\.\s*spawn\s*\(\s*\{",
        needs="eval|Function|_compile|constructor|spawn_sync|setTimeout|setInterval|import|exec|spawn",
        quick=(
            r"=\s*(Function|eval)\s*[;,]", r"spawn(Sync)?\s*\(\s*['\"`](node|python3?|sh|bash)",
            r"set(Timeout|Interval)\s*\(\s*(Buffer|atob)", r"import\s*\(\s*['\"`]data:", (r"exec(Sync"
            r")?\s*\(\s*Buffer"),
            r"fromCharCode\s*\(\s*[A-Za-z0-9_\x80-\xff]{1,80}\s*\[",
            r"Function\s*\.\s*constructor", r"new\s+module", r"\[\s*['\"]constructor['\"]\s*\]",
            r"\.length\s*\)", r"spawn_sync",
            r"\bcreateDecipher", r"\bnew\s+Function\s*\([^\n()]{1,60},",
            r"\beval\s*\(\s*(Buffer|atob|unescape|decodeURI|String|[A-Za-z0-9_\x80-\xff]+\s*\(\s*['\"])",
            r"\bnew\s+Function\s*\(\s*(Buffer|atob)", r"\bmodule\._compile\s*\(\s*(Buffer|atob)",
        ),
    ),
    sign(
        "js-obfuscated", Severity.HIGH, "Names and texts were garbled by an obfuscator",
        r"(?:\b_0x[0-9a-f]{4,6}\b[^\n]{0,400}?){12}",
        r"(?:\\x[2-7][0-9a-fA-F]){40}", r"\bvar _\$_[0-9a-f]{4}\s*=",
        r"\b(?:while\s*\(\s*(?:true|!!\[\]|!0|1)\s*\)|for\s*\(\s*;\s*;\s*\))\s*\{?\s*try\s*\{[\s\S]{0,200}parseInt\s*\("
        r"[\s\S]{0,2000}?(?:\[\s*['\"]push['\"]\s*\]|\.push)\s*\("
        r"\s*[\w$]+\s*(?:\[\s*['\"]shift['\"]\s*\]|\.shift)\s*\(",
        r"\]\s*;?\s*(?:return\s*\(?\s*)?(?P<table>[\w$]{1,40})\s*=\s*(?:function\s*\(\s*\)\s*\{\s*return\s+[\w$]{1,40}\s*;?\s*\}"
        r"|\(\s*\)\s*=>\s*[\w$]{1,40})\s*[;,)]?\s*(?:return\s+)?(?P=table)\s*\(\s*\)",
        r"(?:parseInt\s*\(\s*\w+\s*\([^()]{1,60}\)\s*\)\s*/\s*\(?[-+]?\s*0x[0-9a-f]+[^\n]{0,60}?){5}",
        r"[\[\]()!+]{300}", r"\brequire\s*\(\s*_0x[0-9a-f]{4,6}\s*\(\s*-?0x[0-9a-f]+",
        needs="_0x|\\x|_$_|parseInt|+[]|]",
        quick=(
            r"\.push\s*\(\s*[A-Za-z0-9_$\x80-\xff]{1,200}\s*\.shift\s*\(",
            r"\]\s*;?\s*(return\s*\(?\s*)?[A-Za-z0-9_$\x80-\xff]{1,160}\s*=\s*(function\s*\(\s*\)\s*\{\s*return|\(\s*\)\s*=>)",
            r"\[\s*['\"]push['\"]\s*\]\s*\(",
            r"parseInt\s*\(\s*[A-Za-z0-9_\x80-\xff]+\s*\([^()]{1,240}\)\s*\)\s*\/", r"[\[\]()!+]{100}",
            r"\b_0x[0-9a-f]{4}",
            r"(\\x[2-7][0-9a-fA-F]){8}", r"\bvar _\$_",
        ),
    ),
    EXFILTRATION,
    sign(
        "js-reverse-shell", Severity.CRITICAL, "A shell that calls back", r"/dev/tcp/\S+/\d+",
        r"net\.(?:connect|Socket|createConnection)\b[\s\S]{0,600}?\.pipe\s*\(\s*\w+\.stdin\s*\)",
        r"spawn\s*\(\s*['\"](?:/bin/)?(?:ba)?sh['\"][\s\S]{0,300}net\.(?:connect|Socket|createConnection)",
        r"\bconnect\s*\(\s*\d{1,5}\s*,\s*['\"][\s\S]{0,200}?\.pipe\s*\(\s*\w+\.stdin\s*\)[\s\S]{0,120}?"
        r"\.stdout\.pipe\s*\(",
        needs="/dev/tcp/|net.|.stdin",
        quick=(r"\/dev\/tcp\/", r"net\.(connect|Socket|createConnection)", r"\.stdin"),
    ),
    HIDDEN,
    sign(
        "js-remote-code", Severity.CRITICAL, "What a server answers is run as code",
        rf"{_NAMED}[\s\S]{{0,600}}?{_RUNS}{_ANSWER}",
        rf"{_NAMED}[\s\S]{{0,300}}?\bon\s*\(\s*['\"]data['\"]\s*,\s*(?:function\s*)?\(?\s*(?P<part>\w+)\s*\)?\s*(?:=>)?\s*\{{?\s*\beval\s*\(\s*(?P=part)\b",
        rf"{_NAMED}[\s\S]{{0,300}}?\bnew\s+vm\s*\.\s*Script\s*\(\s*{_ANSWER}", rf"{_NAMED}[\s\S]"
        rf"{{0,300}}?\w\s*\._compile\s*\(\s*\w+\s*,",
        rf"{_NAMED}[\s\S]{{0,300}}?\(\s*0\s*,\s*eval\s*\)\s*\(\s*\w+\s*\)",
        needs="fetch|axios|http|got|request,eval|Function|runIn|_compile|Script",
        quick=(r"new\s+vm\s*\.\s*Script", r"\beval\s*\)\s*\(", r"\beval\s*\(", r"\bnew\s+Function\s*\(",
               r"\brunIn(This|New)?Context", r"\._compile\s*\("),
    ),
    sign(
        "js-command", Severity.HIGH, "A command that fetches and runs, or hides what it runs",
        r"(?:exec|execSync|spawn|spawnSync)\s*\(\s*[`'\"][^`'\"\n]{0,200}\b(?:curl"
        r"|wget)\b[^`'\"\n]{0,200}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        r"(?:exec|execSync|spawn"
        r"|spawnSync)\s*\(\s*[`'\"][^`'\"\n]{0,200}(?:(?i:powershell[^\n]{0,100}\s-(?:e|enc|w)\w*\s)"
        r"|/dev/tcp/|base64\s+(?:-d|--decode)[^\n]{0,80}\|)",
        r"\bspawn\w*\s*\([^\n]{0,300}(?:--dangerously-skip-permissions|--yolo\b|--trust-all-tools)",
        r"(?:exec|execFile|spawn)(?:Sync)?\s*\([^\n]{0,80}['\"`]-c['\"`]\s*,\s*['\"`][^'\"`\n]{0,200}\b(?:curl|wget)\b[^'\"`\n]{0,200}\|\s*(?:ba|z|da)?sh\b",
        r"--dangerously-skip-permissions[\s\S]{0,400}?\bspawn(?:Sync)?\s*\(",
        r"\bexec(?:Sync|File|FileSync)?\s*\([^\n]{0,300}(?:--dangerously-skip-permissions|--trust-all-tools)",
        r"(?:exec|execSync|spawn|spawnSync)\s*\(\s*[`'\"]powershell(?:\.exe)?['\"][^\n]{0,120}(?:bypass|hidden)[^\n]{0,200}\b(?:iwr|i[e]x"
        r"|DownloadString|Invoke-\w+)\b",
        r"(?:exec|execSync|spawn|spawnSync)\s*\(\s*[`'\"](?:certutil(?:\.exe)?\s[^\n]{0,40}-urlcache|bitsadmin\S*\s+/transfer|mshta(?:\.exe)?\s+"
        r"|rundll32(?:\.exe)?\s|regsvr32(?:\.exe)?\s)",
        r"(?:exec|execFile|spawn)(?:Sync)?\s*\(\s*['\"`]rundll32(?:\.exe)?['\"`]\s*,\s*\[[^\n]{0,120}"
        r"(?:__dirname|tmpdir|\bTE?MP\b|APPDATA|homedir)",
        r"\bspawn\w*\s*\([^\n]{0,200}(?:stratum\+|--cpu-max-threads-hint|--donate-level|--rig-id)",
        r"\bWebAssembly\s*\.\s*instantiate\s*\([^\n]{0,200}child_process",
        needs="exec|spawn,curl|wget|powershell|/dev/tcp/|base64|--dangerously|--trust-all|--yolo|certutil|bitsadmin|mshta|rundll32|regsvr32|stratum"
        "|--cpu-max|--donate|--rig-id|WebAssembly",
    ),
    sign(
        "js-steals", Severity.HIGH, "It reads what a person or machine keeps for itself and sends it away",
        rf"\breadFile(?:Sync)?\s*\([^\n]{{0,200}}{_KEPT}[\s\S]{{0,2000}}?{_ASKS}",
        r"(?:User Data|Local Extension Settings|leveldb)\b[\s\S]{0,1500}?\bcreateReadStream\s*\([\s"
        r"\S]{0,600}?(?:\.\s*submit\s*\(|\.\s*post\s*\(|uploads?\b)",
        r"Local Extension Settings[\s\S]{0,600}?\.\s*post\s*\(",
        rf"JSON\s*\.\s*stringify\s*\(\s*process\.env\s*\)[\s\S]{{0,1200}}?{_ASKS}",
        rf"{_ASKS}[^\n]{{0,300}}JSON\s*\.\s*stringify\s*\(\s*\[[^\]\n]{{0,200}}\bprocess\.env\s*[,\]]",
        r"JSON\s*\.\s*stringify\s*\(\s*\{[^\n]{0,300}?(?<!env:)(?<!env: )(?<!\.\.\.)\bprocess\.env\s*["
        r",}][\s\S]{0,2000}?"
        r"\b(?:https?(?:['\"]\s*\))?\s*\.\s*request|fetch|axios)\b",
        r"\bos(?:['\"]\s*\))?\s*\.\s*hostname\s*\(\s*\)[\s\S]{0,400}?\.\s*userInfo\s*\(\s*\)[\s\S]{0,200"
        r"0}?" + _ASKS,
        r"\bdns(?:['\"]\s*\))?\s*\.\s*(?:lookup|resolve\w*)\s*\((?=[^\n]{0,200}(?:hostname\s*\("
        r"|userInfo\s*\(|['\"](?:hex|base64)['\"]|process\.env))"
        r"[^\n]{0,200}(?:\+\s*['\"`]|\})\.[\w-]+\.",
        needs="readFile|process.env|hostname|createReadStream|Local Extension,fetch|axios|http|got|r"
        "equest|dns|submit|post",
    ),
    sign(
        "js-spreads", Severity.CRITICAL, "It publishes itself, or takes the secrets of a repository's builds",
        r"search\?text=maintainer:[\s\S]{0,2000}?\bpublish\b",
        r"_authToken\b(?!=\$\{?[A-Z])[\s\S]{0,800}?\bexec(?:Sync)?\s*\("
        r"\s*['\"`][^'\"`\n]{0,80}\bnpm publish\b",
        r"\b(?:pre|post)?install['\"`]?\s*\]?\s*[:=]\s*['\"`]node\s[\s\S]{0,1200}?\bnpm publish\b",
        r"\btoJSON\s*\(\s*secrets\s*\)",
        r"\btrufflehog\b[\s\S]{0,1500}?(?:webhook|fetch\s*\(|\.request\s*\(|gh\s+repo\s+create)",
        needs="maintainer:|toJSON|trufflehog|_authToken|npm publish",
    ),
    sign(
        "js-destroys", Severity.CRITICAL, "It removes what a person keeps",
        r"\b(?:rm|rmdir)(?:Sync)?\s*\(\s*(?:os|require\s*\(\s*['\"](?:node:)?os['\"]\s*\))\s*\.\s*homedir\s*\(\s*\)\s*,",
        needs="homedir,recursive",
    ),
    sign(
        "js-remote-control", Severity.HIGH, "Commands that somebody else sends are run",
        r"\bon\s*\(\s*['\"`]\w{1,30}['\"`]\s*,\s*(?:async\s+)?(?:function\s*)?\(?\s*(?P<said>\w{1,30})\b[^\n]{0,40}?(?:=>|\{)[\s\S]{0,120}?"
        r"(?:\bexecSync|(?<!\.)\bexec|(?:[;{}\n]|=>)\s*(?:await\s+)?[\w$.()'\"`]{1,60}\.\s*exec|child_process['\"`]\s*\)\s*\.\s*exec)"
        r"\s*\(\s*(?:String\s*\(\s*)?(?P=said)\b(?:\s*\.\s*(?:toString\s*\(\s*\)|data|cmd|command))?\s*[,)]",
        needs="exec,socket|ws|net|WebSocket",
    ),
    sign(
        "js-steals", Severity.HIGH, "It asks another program for its key, and sends that away",
        r"\.\s*post\s*\(\s*['\"`]https?://[^)\n]{0,200}\.\.\.\s*process\.env\b",
        rf"\bexec(?:Sync)?\s*\(\s*['\"`](?:security (?:find-generic-password|dump-keychain)|gh auth "
        rf"token|gcloud auth print-\w+-token|npm config get "
        rf"[^'\"`\n]{{0,60}}_authToken|aws configure get)"
        rf"[\s\S]{{0,800}}?{_ASKS}",
        r"['\"`]https?://[^'\"`\n]{1,200}['\"`]\s*\+\s*process\.env\.(?:AWS_SECRET\w*|NPM_TOKEN|GITHUB_TOKEN|GH_TOKEN|NODE_AUTH_TOKEN)\b",
        rf"{_ASKS}[^\n]{{0,200}}\breadFile(?:Sync)?\s*\(\s*['\"`]\.env['\"`]",
        rf"\.sendMail\s*\([^;]{{0,400}}\breadFile(?:Sync)?\s*\([^\n]{{0,80}}{_KEPT}",
        r"\bKeypair\s*\.\s*from\w+\s*=\s*[^=][^\n]{0,200}\bfetch\s*\(",
        needs="exec|process.env.|readFile|Keypair",
    ),
    sign(
        "js-persistence", Severity.HIGH, "It has git run its hooks in every repository",
        r"\bgit config --global core\.hook[s]Path\b", needs="core.hooksPath",
    ),
    sign(
        "js-persistence", Severity.HIGH, "It copies itself to where it is started again",
        r"\bcopyFile(?:Sync)?\s*\(\s*(?:__filename|process\.argv\[1\])\s*,[\s\S]{0,800}?"
        r"(?:\bschtasks\b|\bautostart\b|\bcrontab\b|LaunchAgents|[/\\]Startup\b|CurrentVersion|systemctl)",
        r"(?:\bautostart\b|LaunchAgents|[/\\]Startup\b|systemd/user)[\s\S]{0,800}?"
        r"\bcopyFile(?:Sync)?\s*\(\s*(?:__filename|process\.argv\[1\])\s*,",
        needs="copyFile,__filename|argv[1]",
    ),
    sign(
        "js-copies-mail", Severity.HIGH, "Mail that others send is copied to an address in the code",
        r"\b(?:sendMail|sendEmail|emails\.send|messages\.create)\s*\(\s*\{[^{}]{0,600}?\bbcc\s*:\s*\[?\s*['\"`]"
        r"[\w.+-]{1,60}@(?!(?:[\w-]+\.)?example\.)[\w-]{1,60}\.",
        needs="bcc",
    ),
    sign(
        "js-dropper", Severity.HIGH, "It starts what it fetched, and lets go of it",
        rf"{_ASKS}[\s\S]{{0,1500}}?\bspawn\s*\([\s\S]{{0,200}}?\bdetached\b",
        needs="spawn,detached,fetch|axios|http|got|request",
    ),
    sign(
        "js-wallet", Severity.HIGH, "It puts another receiver into payments",
        r"\bethereum\s*\.\s*request\s*=[^=]", r"\.replace\s*\([^\n]{0,200}0x\[a-fA-F0-9\]\{40\}[^\n]{0,1"
        r"20}['\"]0x[0-9a-fA-F]{40}",
        r"\.replace\s*\(\s*/0x\[a-fA-F0-9\]\{40\}/g\s*,\s*['\"`]0x[0-9a-fA-F]{3}",
        r"\.replace\s*\(\s*/0x\[a-fA-F0-9\]\{40\}/g[\s\S]{0,200}?\bfetch\s*=",
        r"\beth(?:ereum)?\s*\[\s*['\"]request['\"]\s*\]\s*=[^=]",
        r"\bethereum\s*\[\s*[\w$]{1,30}\s*\]\s*=\s*(?:async\s+)?(?:function\b|\()",
        r"(?i)\bclip\w*\s*\.\s*write\w*\s*\(\s*['\"`](?:0x[0-9a-f]{36,40}|bc1[0-9a-z]{20,60}|[13][a-km-zA-HJ-NP-Z1-9]{25,34})['\"`]",
        r"\[13\][\s\S]{0,400}?\.write(?:Sync|Text)?\s*\(\s*['\"`](?:bc1|[13][a-km-zA-HJ-NP-Z1-9]{20})",
        r"\[13\][^\n]{0,200}\.test\s*\([^\n]{0,120}\.write(?:Sync|Text)?\s*\(\s*['\"`](?:bc1|[13])",
        needs="eth|0x[a-f|[13]|write",
        quick=(r"\bethereum\s*\.\s*request\s*=", r"\beth(ereum)?\s*\[\s*['\"]request",
               r"0x\[a-fA-F0-9\]\{40\}", r"\[13\]", r"\bethereum\s*\[",
               r"\.\s*write[A-Za-z0-9_\x80-\xff]*\s*\(\s*['\"`](0[xX][0-9a-fA-F]{36}|[bB][cC]1|[13][A-Za-z0-9]{25})"),
    ),
    sign(
        "js-skims", Severity.HIGH, "What people type into a page, or its cookies, is sent to an address",
        r"\.src\s*=\s*['\"`]https?://[^'\"`\n]{1,200}['\"`]\s*\+\s*(?:encodeURIComponent|btoa|escape)?\s*\(?\s*(?:document\.cookie"
        r"|(?:btoa\s*\(\s*)?JSON\.stringify)",
        r"['\"]key(?:down|press|up)['\"]\s*,[^\n]{0,200}\b(?:sendBeacon|fetch)\s*\(\s*['\"`]https?://[^\n]{0,120}\.key\b",
        r"\b(?:sendBeacon|fetch)\s*\(\s*['\"`]https?://[^\n]{0,200}\bdocument\.cookie\b",
        r"\bsendBeacon\s*\(\s*['\"`]https?://[^\n]{0,120}\.value\b",
        r"\bXMLHttpRequest\.prototype\.(?:send|open)\s*=[\s\S]{0,600}?(?:\b(?:sendBeacon|fetch)\s*\(|\.src\s*=)\s*['\"`]https?://",
        r"\bnew\s+FormData\s*\([\s\S]{0,300}?\bsendBeacon\s*\(\s*['\"`]https?://",
        r"\bdocument\.cookie\b[\s\S]{0,300}?\b(?:sendBeacon|fetch)\s*\(\s*['\"`]https?://",
        r"\bonkey(?:down|press|up)\s*=[\s\S]{0,200}?\.key\b[\s\S]{0,200}?\.src\s*=\s*['\"`]https?://",
        r"\b(?:window|globalThis|self)\s*\.\s*fetch\s*=[^=][\s\S]{0,600}?\bsendBeacon\s*\(\s*['\"`]https?://",
        needs="cookie|stringify|.key|.value|.prototype.|sendBeacon,http",
        quick=(r"\.src\s*=\s*['\"`]http", r"(sendBeacon|fetch)\s*\(\s*['\"`]http"),
    ),
    sign(
        "js-alters", Severity.HIGH, "It writes itself into another program, or into how modules are loaded",
        r"\bdiscord_desktop_core\b[\s\S]{0,800}?\bwriteFile(?:Sync)?\s*\(",
        r"(?:/Applications/|LOCALAPPDATA|ProgramFiles|Program Files|AppData['\", ]{1,6}Local\b)[^\n]{0,200}"
        r"\bapp\.asar\b[\s\S]{0,400}?\b(?:writeFile|copyFile|rename)(?:Sync)?\s*\(",
        r"\.\s*_load\s*=\s*function\b[\s\S]{0,600}?['\"`]https?://",
        r"(?:\b|_)extensions\s*\[\s*['\"]\.(?!(?:[cm]?[jt]sx?|es\d?|coffee|litcoffee|iced|ls)['\"])\w{1,8}['\"]\s*\]\s*="
        r"[^=\n;]{0,80}?(?:\b|_)extensions\s*\[\s*['\"]\.js['\"]\s*\]",
        needs="discord_desktop_core|app.asar|_load|extensions",
    ),
    sign(
        "js-by-country", Severity.HIGH, "What it destroys depends on the country that it runs in",
        r"(?i)(?:country|timezone|geo)\w*[\s\S]{0,400}?(?:russia|belarus|ukraine|israel"
        r"|\biran\b)[\s\S]{0,600}?"
        r"(?:writeFile|unlink|rmSync|rimraf|rmdir)",
        needs="writeFile|unlink|rmSync|rimraf|rmdir,ussia|elarus|kraine|srael|iran|Iran",
    ),
    sign(
        "js-keylogger", Severity.HIGH, "It sends away which keys are pressed",
        rf"\b(?:iohook|uiohook-napi|uiohook|node-global-key-listener)['\"][\s\S]{{0,2000}}?{_ASKS}",
        needs="iohook|global-key-listener",
    ),
    sign(
        "code-pushed-aside", Severity.HIGH, "A statement is pushed out of sight by a long run of spaces",
        r"(?m)^[^\n]{0,200}?[;)}](?: {150,}|\t{50,})[\w(\[!;]",
        needs=" " * 150 + "|" + "\t" * 50,
        quick=(r"[;)}]( {150}|\t{50})",),
    ),
    sign(
        "js-packed", Severity.MEDIUM, "Code that only its own decoder can read",
        r"\beval\s*\(\s*function\s*\(p,a,c,k,e,[dr]\)", r"\uff9f\u03c9\uff9f\uff89\s*=",
        needs="eval|\uff9f",
        quick=(r"\beval\s*\(\s*function\s*\(p,a,c,k,e", r"\xef\xbe\x9f"),
    ),
)  # fmt: skip
"""For any JavaScript."""

WORKFLOW = (
    sign(
        "workflow-steals", Severity.CRITICAL,
        "A build sends its repository's secrets away, or lets go of what it starts",
        r"\btoJSON\s*\(\s*secrets\s*\)[^\n]{0,200}(?:\b(?:curl|wget|nc|base64)\b|https?://)",
        r"\b(?:curl|wget)\s[^\n]{0,200}\btoJSON\s*\(\s*secrets\s*\)",
        r"\bRUNNER_TRACKING_ID\b['\"]?\s*[:=]\s*['\"]?0",
        needs="toJSON|RUNNER_TRACKING_ID",
    ),
)  # fmt: skip
"""For descriptions of builds in YAML."""

INSTALL_SCRIPT = (
    sign(
        "install-network", Severity.HIGH, "It sends facts of this machine over the network",
        r"(?:os(?:['\"]\s*\))?\.(?:hostname|userInfo|networkInterfaces)\s*\("
        r"|JSON\.stringify\s*\(\s*process\.env\s*[,)])"
        r"[\s\S]{0,6000}?(?:https?(?:['\"]\s*\))?\.(?:request|get)|axios|fetch\s*\(|dns\.(?:lookup"
        r"|resolve)|net\.connect)",
        r"(?:https?(?:['\"]\s*\))?\.(?:request|get)|axios|fetch\s*\(|dns\.(?:lookup|resolve))[\s\S]{0,6000}?"
        r"(?:os(?:['\"]\s*\))?\.(?:hostname|userInfo|networkInterfaces)\s*\("
        r"|JSON\.stringify\s*\(\s*process\.env\s*[,)])",
        r"(?:/etc/passwd|\.npmrc|\.ssh/id_|\.aws/credentials)"
        r"[\s\S]{0,6000}?(?:https?(?:['\"]\s*\))?\.(?:request|get)|fetch\s*\()",
        needs="http|fetch|axios|dns|net.",
    ),
    sign(
        "install-command", Severity.HIGH, "It runs what it fetched, or hides a command",
        r"(?:exec|execSync|spawn|spawnSync)\s*\(\s*[`'\"][^`'\"\n]*(?:curl|wget|powershell|base64|\bnc"
        r"\b|/dev/tcp)",
        r"\b(?:curl|wget)\b[^\n|;]{0,300}\|\s*(?:ba|z|da)?sh\b",
        r"\bexec(?:Sync)?\s*\(\s*[`'\"][^`'\"\n]*(?:\|\s*crontab\b|\bgh auth token\b|\bgit config --list\b)",
        r"\bexec(?:Sync)?\s*\(\s*[`'\"]\(?crontab\b",
    ),
)  # fmt: skip
"""For what runs while an npm package is installed."""

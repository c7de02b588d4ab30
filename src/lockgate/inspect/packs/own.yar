// Lockgate's own rules: what honest packages, documents and models do not hold.
//
// Each rule names its severity and, in one sentence, why. Patterns are hexadecimal or broken by a
// class of one letter wherever the plain text would find itself in this file.

rule eicar_test_file
{
    meta:
        severity = "critical"
        why = "It is the EICAR test file, which every scanner has to find"
    strings:
        $text = { 58 35 4F 21 50 25 40 41 50 5B 34 5C 50 5A 58 35 34 28 50 5E 29 37 43 43 29 37 7D 24 45 49 43 41 52 }
        $encoded = /WDVPIVAlQEFQWzRcUFpYNTQ[o]UF4pN0NDKTd9JEVJQ0FS/
    condition:
        ($text in (0..64) or $encoded in (0..64)) and filesize < 1024
}

rule shell_that_calls_back
{
    meta:
        severity = "critical"
        why = "A shell that calls back to another machine"
    strings:
        $bash = /\b(ba|z|da)?sh\s{1,3}-i\s{0,3}[>&0-9<]{1,4}\s{0,3}\/dev\/(tcp|udp)\//
        $netcat = /\bn(c|cat|etcat)(\.traditional|\.exe)?\s{1,3}(-[a-z]{1,6}\s{1,3}){0,3}-[a-z]{0,3}e[a-z]{0,3}\s{1,3}(\/bin\/(ba|z|da)?sh|cmd|powershell)/
        $fifo = /mkfifo\s{1,3}\S{1,60};\s{0,3}\S{0,20}\s{0,3}[^\n]{0,80}\/sh\s{1,3}-i[^\n]{0,60}\bn(c|cat)\b/
        $socat = /socat\s[^\n]{0,80}exec:['"]?(\/bin\/)?(ba)?sh/ nocase
        $perl = /use\s{1,3}Socket;[^\x00]{0,400}exec\s{0,3}[\{(]?\s{0,3}["']\/bin\/(ba)?sh/
        $ruby = /TCPSocket\.(new|open)[^\x00]{3,160}(exec|spawn|popen)[^\x00]{0,60}\/(ba)?sh/
        $php = /fsockopen\s{0,3}\([^)]{3,80}\)\s{0,3};[^\x00]{0,120}(exec|system|popen|proc_open)\s{0,3}\([^)]{0,40}sh\b[^)]{0,20}(<&3|-i)/
        $lua = /socket\.tcp\(\)[^\x00]{0,200}os\.execute\s{0,3}\([^)]{0,40}\/(ba)?sh/
        $java = /new\s{1,3}Socket\([^)]{3,80}\)[^\x00]{0,600}ProcessBuilder\([^)]{0,40}(\/bin\/(ba)?sh|cmd\.exe)/
    condition:
        any of them
}

rule python_shell_that_calls_back
{
    meta:
        severity = "critical"
        why = "Python code that gives its socket to a shell"
    strings:
        $dup = /dup2\s{0,3}\(\s{0,3}\w{1,20}\.fileno\(\)\s{0,3},\s{0,3}[012]\s{0,3}\)/
        $shell = /(subprocess\.\w{3,12}|pty\.spawn|os\.exec\w{1,3}|os\.system)\s{0,3}\([^)]{0,40}(\/bin\/)?(ba|z|da)?sh\b/
        $connect = /\.connect\s{0,3}\(\s{0,3}\(/
    condition:
        #dup > 1 and $shell and $connect
}

rule powershell_that_calls_back
{
    meta:
        severity = "critical"
        why = "A PowerShell client that runs what it is sent"
    strings:
        $client = /Net\.Sockets\.T[C]PClient/ nocase
        $stream = ".GetStream()" nocase
        $run = /\b(i[e]x|Invoke-Express[i]on)\b/ nocase
    condition:
        all of them
}

rule powershell_encoded_command
{
    meta:
        severity = "high"
        why = "PowerShell is given a command that nobody can read"
    strings:
        $encoded = /powershell(\.exe)?["',\s]{1,4}([^\n]{0,100}[\s"',])?[-\/]e(c|nc|ncodedcommand)?["',\s]{1,4}[A-Za-z0-9+\/]{40,400}/ nocase
    condition:
        $encoded
}

rule miner_configuration
{
    meta:
        severity = "high"
        why = "A configuration of a program that mines coins"
    strings:
        $pool = /strat[u]m\+(tcp|ssl|tls):\/\//
        $level = "\"donate-level\""
        $pools = "\"pools\""
        $algorithm = /"?(algo|coin)"?\s{0,3}[:=]\s{0,3}"?(rx\/|randomx|cryptonight|cn\/|kawpow|ghostrider|monero)/ nocase
        $command = /xmrig[^\n]{0,200}\s(-o|--url|-a|--algo|--donate-level)[\s=]/
    condition:
        filesize < 1MB and (($level and $pools) or ($pool and ($level or $algorithm or $command)))
}

rule miner_program
{
    meta:
        severity = "critical"
        why = "A program that mines coins"
    strings:
        $a = "strat\x75m+tcp://"
        $b = "cryptonight" nocase
        $c = "randomx" nocase
        $d = /\bXMRi[g]\b/ nocase
        $e = "donate-leve\x6c"
        $f = "nicehash" nocase
    condition:
        (uint32(0) == 0x464C457F or uint16(0) == 0x5A4D) and 4 of them
}

rule installation_that_steals
{
    meta:
        severity = "critical"
        why = "Code that runs at installation reads credentials and sends them away"
    strings:
        $keys = /(\.ssh[\/\\'",\s]{1,6}(id_(rsa|ed25519|ecdsa)|authorized_keys)|\.aws[\/\\'",\s]{1,6}credentials|\.netrc|\.git-credentials|\.pypirc|\.docker[\/\\'",\s]{1,6}config\.json|\.kube[\/\\'",\s]{1,6}config|\/etc\/shadow|security-credentials)/
        $all = /(json\.dumps\s{0,3}\(\s{0,3}(dict\s{0,3}\(\s{0,3})?os\.environ|dict\s{0,3}\(\s{0,3}os\.environ\s{0,3}\)|JSON\.stringify\s{0,3}\(\s{0,3}process\.env\s{0,3}[,)])/
        $send = /(requests\s{0,3}\.\s{0,3}(post|put|get)|urlopen|urlretrieve|HTTPS?Connection|httpx\s{0,3}\.\s{0,3}(post|get)|socket\s{0,3}\.\s{0,3}(socket|create_connection)|https?\s{0,3}\.\s{0,3}(request|get)|fetch|axios(\.post)?|dns\.(lookup|resolve))\s{0,3}\(/
    condition:
        installs and filesize < 1MB and ($keys or $all) and $send
}

rule package_script_that_fetches
{
    meta:
        severity = "high"
        why = "A script of package.json runs what it downloads or hides what it runs"
    strings:
        $script = /"(pre|post)?(install|prepare)"\s{0,3}:\s{0,3}"[^"\n]{0,300}((curl|wget)\s[^"\n]{0,200}(\||&&|;)\s{0,3}(sudo\s)?(ba|z)?sh|powershell|\/dev\/tcp\/|base64\s{1,3}(-d|--decode)|\bnc(at)?\s{1,3}-)/
        $inline = /"(pre|post)?(install|prepare)"\s{0,3}:\s{0,3}"[^"\n]{0,300}node\s{1,3}-e\s/
        // A file of the package that may be missing, and nothing beside it in the command.
        $tried = /"(pre|post)?(install|prepare)"\s{0,3}:\s{0,3}"node -e \\"try ?\{ ?require\('\.\/[\w.\/-]{1,80}'\);? ?\} ?catch ?\(\w{1,9}\) ?\{\}\\""/
    condition:
        filename == "package.json" and ($script or #inline > 90 or for any i in (1..#inline): (not $tried at @inline[i]))
}

rule browser_secrets_stealer
{
    meta:
        severity = "critical"
        why = "It reads the passwords that browsers keep and decrypts them"
    strings:
        $logins = /Login\s{1}D[a]ta/
        $state = /Local\s{1}St[a]te/
        $key = /(os_cryp[t]|encrypted_ke[y])/
        $decrypt = /(CryptUnprotectD[a]ta|AES\.MODE_GCM|v1[01]['"])/
    condition:
        filesize < 20MB and all of them
}

rule chat_token_stealer
{
    meta:
        severity = "critical"
        why = "It looks for the tokens that chat programs keep"
    strings:
        $pattern = /\[\\w-\]\{2[46](,28)?\}\\{1,2}\.\[\\w-\]\{6\}\\{1,2}\.\[\\w-\]\{2[57](,110)?\}/
        $store = /(level[d]b|Local St[o]rage)/
    condition:
        filesize < 20MB and all of them
}

rule wallet_stealer
{
    meta:
        severity = "high"
        why = "It gathers the files of several wallets"
    strings:
        $a = /wallet\.d[a]t/ nocase
        $b = /Exodus[\/\\]{1,2}exodus\.wall[e]t/ nocase
        $c = /nkbihfbeogaeaoehlefnkodbefgpgk[n]n/
        $d = /Electrum[\/\\]{1,2}wall[e]ts/ nocase
        $e = /atomic[\/\\]{1,2}Local\s{1}Stor[a]ge/ nocase
        $f = /bfnaelmomeimhlpmgjnjophhpkkolj[p]a/
    condition:
        filesize < 20MB and 3 of them
}

rule ransom_note
{
    meta:
        severity = "critical"
        why = "It demands ransom for files"
    strings:
        $files = /(all )?(of )?your (important )?(files|documents|data)[^\n]{0,40}(have been|are|were) encryp[t]ed/ nocase
        $pay = /(bitcoin|monero|\bbtc\b|\bxmr\b)/ nocase
        $way = /([a-z2-7]{56}\.onion|decrypt(or|ion)? (key|tool|software)|tor browser)/ nocase
    condition:
        filesize < 1MB and all of them
}

rule credential_dumper
{
    meta:
        severity = "critical"
        why = "Commands or texts of a tool that dumps credentials"
    strings:
        $a = /sekurls[a]::/ nocase
        $b = /lsadum[p]::/ nocase
        $c = /gentilkiw[i]/ nocase
        $d = /kerberos::gold[e]n/ nocase
        $e = /mimikat[z]/ nocase wide ascii
        $f = /privilege::deb[u]g/ nocase
    condition:
        2 of them
}

rule remote_control_payload
{
    meta:
        severity = "critical"
        why = "A payload by which somebody else controls a machine"
    strings:
        $loader = /ReflectiveLoad[e]r/
        $meter = /(metsr[v]|ext_server_stdap[i]|stdapi_(fs|sys|net)_)/
        $beacon = /(beacon\.(x64\.)?dl[l]|%s as %s\\%s: %[d])/
        $sliver = /(sliverpb\.|\/implant\/sl[i]ver\/)/
        $code64 = { FC 48 83 E4 F0 E8 (C0 | C8 | CC) 00 00 00 41 51 41 50 52 51 }
        $code32 = { FC E8 (82 | 89 | 8F) 00 00 00 60 89 E5 31 (C0 | D2) 64 8B (50 | 52) 30 }
    condition:
        $code64 or $code32 or ($loader and ($meter or $beacon)) or #sliver > 4 or #meter > 8
}

rule persistence_by_shell
{
    meta:
        severity = "high"
        why = "It lets a stranger in for good: a key, or a job that fetches and runs"
    strings:
        $key = /echo\s{1,3}['"]?ssh-(rsa|ed25519|dss)\s{1,3}[A-Za-z0-9+\/=]{20,800}[^\n]{0,80}>>\s{0,3}[^\n]{0,60}authorized_k[e]ys/
        $job = /[*0-9\/]{1,4}\s{1,3}\*\s{1,3}\*\s{1,3}\*\s{1,3}\*\s{1,3}[^\n]{0,80}(curl|wget)\s[^\n]{3,200}\|\s{0,3}(ba|da)?sh/
        $preload = /echo\s{1,3}[^\n]{1,120}>>?\s{0,3}\/etc\/ld\.so\.prel[o]ad/
    condition:
        any of them
}

rule packed_python_stealer
{
    meta:
        severity = "critical"
        why = "Python code in the form that kits for stealers give out"
    strings:
        $chain = /__import__\(\s{0,3}['"]zlib['"]\s{0,3}\)\.decompress\(\s{0,3}__import__\(\s{0,3}['"]base64['"]\s{0,3}\)\.b64decode\(\s{0,3}\w{1,8}\[\s{0,2}::\s{0,2}-1\s{0,2}\]/
        $kit = /(Blank[G]rabber|BlankOB[F]|Wasp[-_ ]Stealer|W4[S]P|Hazard[-_ ]Token|Creal[-_ ]Stealer|Empyrean[-_ ]Stealer)/
    condition:
        any of them
}

rule script_host_shell_in_javascript
{
    meta:
        severity = "high"
        why = "JavaScript of the Windows script host starts a program"
    strings:
        $shell = /new\s{1,3}ActiveXObject\s{0,3}\(\s{0,3}["']WScript\.Sh[e]ll["']/ nocase
        $run = /\.(Run|Exec)\s{0,3}\(\s{0,3}["'][^"'\n]{0,80}(powershell|cmd(\.exe)?\s{1,3}\/c|mshta|bitsadmin|certutil|\.exe\b|calc)/ nocase
    condition:
        all of them
}

rule editor_task_that_starts_by_itself
{
    meta:
        severity = "high"
        why = "A task of an editor fetches or runs something as soon as the folder is opened"
    strings:
        $opened = /"runOn"\s{0,3}:\s{0,3}"folderO[p]en"/
        $does = /(curl|wget|powershell|base64|https?:\/\/|node\s{1,3}-e|python3?\s{1,3}-c)/
    condition:
        filesize < 1MB and all of them
}

rule library_that_runs_a_command_when_it_is_loaded
{
    meta:
        severity = "high"
        why = "Source of a library that runs a command as soon as it is loaded"
    strings:
        $c = /__attribute__\s{0,3}\(\s{0,3}\(\s{0,3}(__)?construct[o]r(__)?(\([0-9]{1,5}\))?\s{0,3}\)\s{0,3}\)[^;{]{0,120}\{[^}]{0,300}\b(system|popen|execl[pe]?|execv[pe]?)\s{0,3}\(/
        $go = /func\s{1,3}init\s{0,3}\(\)\s{0,3}\{[^\x00]{0,300}http\.G[e]t\s{0,3}\([^\x00]{0,300}exec\.Command\s{0,3}\(/
    condition:
        filesize < 4MB and any of them
}

rule settings_that_look_up_an_address
{
    meta:
        severity = "high"
        why = "Settings of a log have a name looked up that brings code"
    strings:
        $jndi = /\$\{jnd[i]:(ldaps?|rmi|dns|iiop|corba|nis):\/\// nocase
    condition:
        (filename == "log4j2.xml" or extension == ".properties" or extension == ".conf") and $jndi
}

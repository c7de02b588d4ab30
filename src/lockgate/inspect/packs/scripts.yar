// Lockgate's own rules for scripts and pages that a server runs: for files whose names do not say that they
// are something else, since these patterns cost more to look for.

rule powershell_runs_a_download
{
    meta:
        severity = "high"
        why = "PowerShell runs what it downloads"
    strings:
        $first = /(i[e]x|Invoke-Express[i]on)[\s(&"']{1,6}[^\n]{0,100}(Download(String|Data|File)\s{0,3}\(|Invoke-(WebRequest|RestMethod)|\biwr\b|\birm\b)/ nocase
        $last = /(Download(String|Data)\s{0,3}\([^\n]{3,160}\)|\b(iwr|irm|Invoke-(WebRequest|RestMethod))\s[^\n|]{3,160})\s{0,3}\|\s{0,3}(i[e]x|Invoke-Express[i]on)\b/ nocase
    condition:
        any of them
}

rule script_host_downloader
{
    meta:
        severity = "high"
        why = "A script of the Windows host that fetches a file and runs it"
    strings:
        $shell = /WScript\.Sh[e]ll/ nocase
        $fetch = /(MSXML2\.(Server)?XMLHTTP|WinHttp\.WinHttpRequest|Microsoft\.XMLHTTP|ADODB\.Stre[a]m)/ nocase
        $run = /\.(Run|Exec)\s{0,3}[("']/ nocase
    condition:
        all of them
}

rule web_shell_php
{
    meta:
        severity = "critical"
        why = "A page that runs what a request says"
    strings:
        $tag = /<\?(php|=)/ nocase
        $direct = /\b(eval|assert|system|passthru|shell_exec|exec|popen|proc_open|create_function|call_user_func)\s{0,3}\(\s{0,3}[^;\n]{0,60}\$_(GET|POST|REQUEST|COOKIE|SERVER\s{0,3}\[\s{0,3}['"]HTTP_)/
        $packed = /\beval\s{0,3}\(\s{0,3}(gz(inflate|uncompress|decode)|str_rot13|base64_decode)\s{0,3}\(/
        $called = /\$_(GET|POST|REQUEST|COOKIE)\s{0,3}\[[^\]]{1,30}\]\s{0,3}\(\s{0,3}\$_(GET|POST|REQUEST|COOKIE)/ nocase
        $ticks = /`\s{0,3}\$_(GET|POST|REQUEST|COOKIE)/ nocase
    condition:
        $tag in (0..4096) and ($direct or $packed or $called or $ticks)
}

rule web_shell_java
{
    meta:
        severity = "critical"
        why = "A server page that runs what a request says"
    strings:
        $page = /<%(@\s{0,3}page|!|=)?/
        $run = /getRuntime\(\)\s{0,3}\.\s{0,3}exec\s{0,3}\(\s{0,3}[^;]{0,60}request\.getParameter/
        $variable = /=\s{0,3}request\.getParameter\([^)]{1,40}\)[^\x00]{0,600}(getRuntime\(\)\s{0,3}\.\s{0,3}exec|new\s{1,3}ProcessBuilder)\s{0,3}\(/
    condition:
        $page and ($run or $variable)
}

rule web_shell_net
{
    meta:
        severity = "critical"
        why = "A server page that runs what a request says"
    strings:
        $page = /<%@\s{0,3}(Page|WebHandler)?[^>]{0,80}Language\s{0,3}=\s{0,3}['"]?(Jscript|C#|VB)/ nocase
        $eval = /\beval\s{0,3}\(\s{0,3}Request[.\[(]/ nocase
        $process = /(Process\.Start\s{0,3}\(|new\s{1,3}ProcessStartInfo\s{0,3}\()/ nocase
        $request = /\bRequest(\.(Params|QueryString|Form|Item))?\s{0,3}[\[(]/ nocase
    condition:
        $page and ($eval or ($process and $request))
}

rule windows_defence_switched_off
{
    meta:
        severity = "critical"
        why = "It switches off what protects a Windows machine, or removes what brings files back"
    strings:
        $defender = /Set-MpPreference\s[^\n]{0,80}-Disable\w{4,40}\s{1,3}(\$true|1)/ nocase
        $excluded = /Add-MpPreference\s[^\n]{0,40}-Exclusion(Path|Process|Extension)/ nocase
        $amsi = /ams[i]InitFailed|Ams[i]ScanBuffer|System\.Management\.Automation\.Ams[i]Utils/ nocase
        $shadows = /vssadmin(\.exe)?\s{1,3}delete\s{1,3}shad[o]ws|shadowcopy\s{1,3}del[e]te/ nocase
        $recovery = /bcdedit(\.exe)?\s[^\n]{0,60}(recoveryenabled\s{1,3}n[o]|ignoreallfail[u]res)/ nocase
        $logs = /wevtutil(\.exe)?\s{1,3}(cl|clear-log)\s{1,3}(System|Security|Application)/ nocase
    condition:
        any of them
}

rule windows_tool_fetches_and_runs
{
    meta:
        severity = "high"
        why = "A tool of Windows is used to fetch a file or to run what lies elsewhere"
    strings:
        $certutil = /certutil(\.exe)?\s[^\n]{0,60}-?urlc[a]che\s[^\n]{0,60}(https?|ftp):/ nocase
        $bits = /bitsadmin(\.exe)?\s[^\n]{0,60}\/tran[s]fer\s[^\n]{0,80}(https?|ftp):/ nocase
        $mshta = /msh[t]a(\.exe)?\s{1,3}["']?(https?:|vbscript:|javascript:)/ nocase
        $regsvr = /regsvr32(\.exe)?\s[^\n]{0,60}\/i:(https?|ftp|\\\\)/ nocase
        $rundll = /rundll32(\.exe)?\s{1,3}["']?(java|vb)scr[i]pt:/ nocase
        $installer = /msiexec(\.exe)?\s[^\n]{0,60}\/(q|quiet)[^\n]{0,40}\shttps?:/ nocase
        $saved = /(Invoke-WebRequest|\biwr\b|\bwget\b|\bcurl(\.exe)?\b)\s[^\n]{0,200}-(OutFile|o)\s{1,3}(\S{1,80}\.(exe|dll|scr|bat|vbs|ps1))[^\n]{0,40}[;&|\n][^\n]{0,20}(Start-Process|start|&|\.\/)/ nocase
        $file = /DownloadFile\s{0,3}\([^\n]{3,160}\)[^\n]{0,40}[;\n][^\n]{0,60}(Start-Process|Invoke-Item|ShellExecute|\bstart\b)/ nocase
    condition:
        any of them
}

rule powershell_runs_what_it_builds
{
    meta:
        severity = "high"
        why = "PowerShell runs a program or a text that it puts together or is given"
    strings:
        $assembly = /\[(System\.)?Reflection\.Assembl[y]\]::Load\s{0,3}\(\s{0,3}(\$|\[(System\.)?Convert\])/ nocase
        $entry = /\.EntryPo[i]nt\.Invoke\s{0,3}\(/ nocase
        $block = /\[scriptbl[o]ck\]::Create\s{0,3}\(\s{0,3}\(?\s{0,3}(irm|iwr|Invoke-|\$\w{1,20}\.Download|\(New-Object)/ nocase
        $pieces = /['"]i['"]\s{0,3}\+\s{0,3}['"]e['"]?\s{0,3}\+?\s{0,3}['"]?x['"]/ nocase
        $scrambled = /\b(nE[w]-oBj|dOw[n]lo|iN[v]oKe|St[A]rT-|sT[a]rt-p)/
        $decoded = /(i[e]x|Invoke-Express[i]on)[\s(&$]{1,8}[^\n]{0,80}(FromBase64String|-join|\[char\]|-f\s)/ nocase
        $place = /VirtualAll[o]c[^\x00]{0,2000}(CreateThr[e]ad|GetDelegateForFunctionPointer)/
    condition:
        any of them
}

rule windows_autostart
{
    meta:
        severity = "high"
        why = "It puts a program where Windows starts it at each login"
    strings:
        $add = /\breg(\.exe)?\s{1,3}add\s[^\n]{0,80}CurrentVersion\\{1,2}Run(Once)?\b/ nocase
        $key = /\[HKEY_(CURRENT_USER|LOCAL_MACHINE)\\{1,2}Software\\{1,2}(Wow6432Node\\{1,2})?Microsoft\\{1,2}Windows\\{1,2}CurrentVersion\\{1,2}Run(Once)?\]/ nocase
        $set = /(New|Set)-ItemProperty\s[^\n]{0,120}CurrentVersion\\{1,2}Run\b/ nocase
        $task = /schtasks(\.exe)?\s[^\n]{0,40}\/create\s[^\n]{0,200}(powershell|wscript|mshta|%APPDATA%|%TEMP%)/ nocase
    condition:
        any of them
}

rule visual_basic_hides_what_it_runs
{
    meta:
        severity = "high"
        why = "A Visual Basic script runs a text that it puts together"
    strings:
        $reversed = /\bExecute(Global)?\s{0,3}\(?\s{0,3}StrRever[s]e\s{0,3}\(/ nocase
        $letters = /\bExecute(Global)?\s{0,3}\(?\s{0,3}(Chr\w?\s{0,3}\(\s{0,3}[0-9&H]{1,6}\s{0,3}\)\s{0,3}&\s{0,3}){6}/ nocase
        $decoded = /\bExecute(Global)?\s{0,3}\(?\s{0,3}(Decode|Base64|Unescape|Replace)\w{0,20}\s{0,3}\(/ nocase
    condition:
        any of them
}

rule shell_of_windows_run_by_a_page
{
    meta:
        severity = "critical"
        why = "A page, scriptlet or style sheet starts programs"
    strings:
        $shell = /(ActiveXObject|CreateObject)\s{0,3}\(\s{0,3}["'](WScript\.Sh[e]ll|Shell\.Applicat[i]on)["']/ nocase
        $run = /\.(Run|Exec|ShellExecute)\s{0,3}[("']/ nocase
        $page = /<(script|job|scriptlet|component|hta:application|xsl:stylesheet|ms:script)\b/ nocase
    condition:
        $page and $shell and $run
}

rule script_host_starts_a_program
{
    meta:
        severity = "high"
        why = "A script of the Windows host starts a shell that hides or fetches"
    strings:
        $shell = /CreateObject\s{0,3}\(\s{0,3}["']WScript\.Sh[e]ll["']/ nocase
        $run = /\.(Run|Exec)\s{0,3}\(?\s{0,3}["'][^"'\n]{0,80}(powershell|cmd(\.exe)?\s{1,3}\/c|mshta|bitsadmin|certutil)/ nocase
        $stream = /ADODB\.Stre[a]m[^\x00]{0,400}SaveToF[i]le[^\x00]{0,300}ShellEx[e]cute/ nocase
    condition:
        ($shell and $run) or $stream
}

rule opens_what_lies_elsewhere
{
    meta:
        severity = "high"
        why = "A small file of Windows that opens a program or a place of another machine"
    strings:
        $query = /\AWEB\r?\n1\r?\nhttps?:\/\//
        $link = "[InternetShortcut]" nocase
        $target = /\n(URL|IconFile|WorkingDirectory)\s{0,3}=\s{0,3}(file:\/\/[^\/\s]|\\\\[^\\\s]{3,80}\\)/ nocase
        $folder = "[Shell]"
        $symbolic = /\AID;P[^\x00]{0,20000};E(EXEC|CALL|REGISTER|FORMULA)\s{0,3}\(/ nocase
        $library = /<(libraryDescription|searchConnectorDescription)\b[^\x00]{0,4000}<url>\s{0,3}(\\\\|https?:\/\/)/ nocase
        $settings = /<DeepLink>[^<]{0,200}(cmd|powershell|mshta|wscript|rundll32)/ nocase
    condition:
        $query or $symbolic or $library or $settings or (($link or $folder) and $target)
}

rule settings_of_windows_that_start_a_program
{
    meta:
        severity = "high"
        why = "Settings that Windows opens start a program, or reach for another machine"
    strings:
        $remote = /(\A|\n)full address:s:/
        $starts = /\n(remoteapplicationprogram:s:[^\r\n]|drivestoredirect:s:\*|alternate shell:s:[^\r\n])/
        $java = /<jnl[p]\b[^\x00]{0,4000}<all-permissions/
        $click = /<(\w{1,20}:)?deploymentProvider\s[^>]{0,80}codebase=/
        $inf = /\n(RunPreSetupCommands|RunPostSetupCommands|UnRegisterOCXs|RegisterOCXs)\s{0,3}=/ nocase
        $theme = /\n(Wallpaper|SCRNSAVE\.EXE|BrandImage|Path)\s{0,3}=\s{0,3}\\\\[^\\\s]/ nocase
        $auto = /\A\s{0,8}\[autorun\][^\x00]{0,400}\n(open|shellexecute|shell\\[a-z]{1,20}\\command)\s{0,3}=/ nocase
    condition:
        $java or $click or $inf or $theme or $auto or ($remote and $starts)
}

rule desktop_entry_that_fetches
{
    meta:
        severity = "high"
        why = "A desktop entry or autostart runs what it downloads"
    strings:
        $entry = "[Desktop Entry]"
        $run = /\nExec\s{0,3}=[^\n]{0,200}((curl|wget)\s[^\n]{3,200}\||base64\s{1,3}(-d|--decode)|\/dev\/tcp\/|python3?\s{1,3}-c)/
    condition:
        all of them
}

rule interpreter_runs_a_download
{
    meta:
        severity = "high"
        why = "A program hands a download to a shell"
    strings:
        $call = /\b(system2?|run|shell|exec|popen|spawn|os\.execute|io\.popen)\s{0,3}[(`]{1,2}[^\n]{0,80}\b(curl|wget)\s[^\n]{3,200}\|\s{0,3}(sudo\s{1,3})?(ba|z|da)?sh\b/
        $ruby = /TCPSocket\.(new|open)[^\x00]{3,160}\.gets[^\x00]{0,120}(popen|`#\{|system)/
        $lua = /socket['"]?\)?\.tcp\(\)[^\x00]{0,300}io\.popen\s{0,3}\(/
    condition:
        any of them
}

rule installation_recipe_pipes_a_download
{
    meta:
        severity = "high"
        why = "A plain address without encryption, or a bare number, is fetched and run by a shell"
    strings:
        $plain = /\b(curl|wget)\s[^\n|]{0,120}(http:\/\/|\/\/)?[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}[^\n|]{0,120}\|\s{0,3}(sudo\s{1,3})?(ba|z|da)?sh\b/
    condition:
        $plain
}

rule batch_hides_a_command
{
    meta:
        severity = "high"
        why = "A batch file puts the name of a command together"
    strings:
        $joined = /\n\s{0,8}@?%\w{1,16}%%\w{1,16}%(%\w{1,16}%){0,8}\s[^\n]{0,80}(-nop|-w\s|-e(nc)?\s|\/c\s|https?:|-c\s)/ nocase
        $cut = /(%\w{1,20}:~\d{1,3},\d{1,2}%){4}/
    condition:
        any of them
}

rule program_in_a_text
{
    meta:
        severity = "high"
        why = "A text holds a Windows program, encoded"
    strings:
        $pe = /TV(qQAAMAAAAEAAAA|pQAAIAAAAEAA8A|qAAAEAAAAEABAA|oAAAAAAAAAAAAA)[A-Za-z0-9+\/]{40}/
    condition:
        $pe
}

rule script_runs_what_it_fetches
{
    meta:
        severity = "high"
        why = "A script runs as code what it fetches"
    strings:
        $perl = /\beval\s{0,3}\(?\s{0,3}get\s{0,3}\(?\s{0,3}["']ht[t]ps?:/
        $ruby = /\b(eval|instance_eval)\s{0,3}\(?\s{0,3}(URI\.open|open|Net::HTTP\.get|URI\s{0,3}\([^)\n]{1,200}\)\.open)\s{0,3}\(/
        $basic = /\bExecute(Global)?\s{1,3}\(?\s{0,3}\w{1,40}\.respon[s]e(Text|Body)/ nocase
        $lua = /\b(loadstring|load)\s{0,3}\(\s{0,3}[^)\n]{0,80}\b(http\.request|HttpGet|socket\.http)/
    condition:
        any of them
}

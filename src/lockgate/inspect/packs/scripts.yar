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

// Where a secret may stand. Each rule bears the name of the detector (detect-secrets) that then decides.
// A rule that secrets_again.yar has as well only says that it is worth while to look for all of it.

rule AWSKeyDetector { strings: $a = /\b(A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}\b/ $b = /aws[^\n]{0,20}(key|pwd|pw|password|pass|token)[^\n]{0,20}['"][0-9a-zA-Z\/+]{40}['"]/ nocase condition: any of them }
rule AzureStorageKeyDetector { strings: $a = /AccountKey=[a-zA-Z0-9+\/=]{88}/ condition: $a }
rule BasicAuthDetector { strings: $a = /:\/\/[^{}\s\/:@'"<>]{1,64}:[^{}\s\/@'"<>]{3,80}@[A-Za-z0-9.-]{3,80}/ condition: $a }
rule CloudantDetector { strings: $a = /cloudant|cl[_-]?(api|pass|key|pw)/ nocase condition: $a }
rule DiscordBotTokenDetector { strings: $a = /\b[MNO][a-zA-Z\d_-]{23,25}\.[a-zA-Z\d_-]{6}\.[a-zA-Z\d_-]{27}\b/ condition: $a }
rule GitHubTokenDetector { strings: $a = /\bgh[pousr]_[A-Za-z0-9_]{36}/ condition: $a }
rule GitLabTokenDetector { strings: $a = /\b(glpat|gldt|glft|glsoat|glrt|glcbt)-[A-Za-z0-9_\-]{20,50}/ condition: $a }
rule IbmCloudIamDetector { strings: $a = /(ibm[_-]?cloud|cloud[_-]?iam|ibm[_-]?iam|bluemix)[^\n]{0,60}[a-zA-Z0-9_-]{44}/ nocase condition: $a }
rule JwtTokenDetector { strings: $a = /\beyJ[A-Za-z0-9-_=]{8,2000}\.eyJ[A-Za-z0-9-_=]{4,}/ condition: $a }
rule MailchimpDetector { strings: $a = /\b[0-9a-f]{32}-us[0-9]{1,2}\b/ condition: $a }
rule NpmDetector { strings: $a = /:_authToken=\s{0,3}(npm_|[A-Fa-f0-9-]{36})/ condition: $a }
rule OpenAIDetector { strings: $a = /\bsk-[A-Za-z0-9-_]{0,60}[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}/ condition: $a }
rule PrivateKeyDetector { strings: $a = /-----BEGIN ((DSA|EC|OPENSSH|RSA) )?PRIVATE KEY-----(\r?\n|\\n|\\r\\n|\s){1,3}([A-Z][A-Za-z-]{2,20}: [^\n]{1,80}\n){0,3}\s{0,3}[A-Za-z0-9+\/]{32}/ $b = /-----BEGIN PGP PRIVATE KEY BLO[C]K-----(\r?\n|\\n){1,3}([A-Z][A-Za-z]{2,20}: [^\n]{1,80}\n){0,3}\s{0,3}[A-Za-z0-9+\/]{32}/ $c = /BEGIN SSH2 ENCRYPTED PRIVATE K[E]Y/ $d = /PuTTY-User-Key-File-[2]:/ condition: any of them }
rule PypiTokenDetector { strings: $a = /pypi-AgE(IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[A-Za-z0-9-_]{70}/ condition: $a }
rule SendGridDetector { strings: $a = /\bSG\.[a-zA-Z0-9_-]{22}\.[a-zA-Z0-9_-]{43}\b/ condition: $a }
rule SlackDetector { strings: $a = /\bxox[abposr]-\d{6,}-[a-z0-9-]{10,}/ nocase $b = /hooks\.slack\.com\/services\/T[a-zA-Z0-9_]{8,}\/B[a-zA-Z0-9_]{8,}\/[a-zA-Z0-9_]{20,}/ condition: any of them }
rule SoftlayerDetector { strings: $a = /softlayer[^\n]{0,80}[a-z0-9]{64}/ nocase condition: $a }
rule SquareOAuthDetector { strings: $a = /\bsq0csp-[0-9A-Za-z\\\-_]{43}/ condition: $a }
rule StripeDetector { strings: $a = /\b[rs]k_live_[0-9a-zA-Z]{24}/ condition: $a }
rule TelegramBotTokenDetector { strings: $a = /:AA[0-9A-Za-z_-]{33}/ condition: $a }
rule TwilioKeyDetector { strings: $a = /\b(AC|SK)[a-f0-9]{32}\b/ condition: $a }
rule ArtifactoryDetector { strings: $a = /[\s=:"]AKC[a-zA-Z0-9]{60,80}[\s"]/ condition: $a }

// Rules that decide alone: each kind has a beginning of its own and a fixed length.
rule GoogleKey { strings: $a = /\bAIza[0-9A-Za-z_-]{35}\b/ condition: $a }
rule GoogleSecret { strings: $a = /\bGOCSPX-[A-Za-z0-9_-]{28}\b/ condition: $a }
rule HuggingFaceToken { strings: $a = /\bhf_[A-Za-z]{34}\b/ condition: $a }
rule ModelServiceKey { strings: $a = /\bsk-ant-[a-z]{3,8}[0-9]{2}-[A-Za-z0-9_-]{80,120}/ $b = /\bsk-(proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}/ $c = /\bgsk_[A-Za-z0-9]{52}\b/ $d = /\bpplx-[A-Za-z0-9]{48}\b/ $e = /\bxai-[A-Za-z0-9]{80}\b/ $f = /\br8_[A-Za-z0-9]{37}\b/ condition: any of them }
rule GitHubFineToken { strings: $a = /\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b/ condition: $a }
rule NpmBareToken { strings: $a = /\bnpm_[A-Za-z0-9]{36}\b/ condition: $a }
rule HostingToken { strings: $a = /\bdo[opr]_v1_[0-9a-f]{64}\b/ $b = /\bdapi[0-9a-f]{32}\b/ $c = /\bshp(at|ca|pa|ss)_[0-9a-fA-F]{32}\b/ $d = /\bglsa_[A-Za-z0-9]{32}_[0-9a-f]{8}\b/ $e = /\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,70}/ $f = /\bATATT3[A-Za-z0-9_=-]{180,200}/ $g = /\bxapp-[0-9]-[A-Z0-9]{9,12}-[0-9]{10,14}-[0-9a-f]{64}\b/ $h = /\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b/ $i = /\blin_api_[A-Za-z0-9]{40}\b/ condition: any of them }
rule VaultToken { strings: $a = /\bhv[sbr]\.[A-Za-z0-9_-]{24,200}/ condition: $a }
rule AgeKey { strings: $a = /\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}\b/ condition: $a }
rule ClusterKey { strings: $a = /\bclient-key-data: {0,4}["']?LS0tLS1CRUdJTi[A-Za-z0-9+\/]{60}/ condition: $a }
rule PuttyKey { strings: $a = /PuTTY-User-Key-File-[3]:/ condition: $a }
rule RegistryLogin { strings: $a = /"auths"[^}]{1,400}"auth" {0,4}: {0,4}"[A-Za-z0-9+\/]{16,400}={0,2}"/ condition: $a }
rule NetrcLogin { strings: $a = /\bmachine[ \t\n]{1,4}[a-zA-Z0-9.-]{3,80}[ \t\n]{1,4}login[ \t\n]{1,4}[^ \t\n]{1,80}[ \t\n]{1,4}password[ \t\n]{1,4}[^ \t\n]{8,80}/ condition: $a }

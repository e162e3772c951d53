//! The rules of the language one by one (SH-01…SH-59).

use super::{run, run_with};

#[track_caller]
fn check(table: &[(&str, &str, &str)]) {
    for (rule, input, expected) in table {
        let (out, errors) = run(input);
        assert_eq!(errors, "", "{rule}: {input}");
        assert_eq!(out, *expected, "{rule}: {input}");
    }
}

#[test]
fn reading() {
    check(&[
        ("SH-01", "2+2", "4"),
        ("SH-01", "Write-Output 2+2", "2+2"),
        ("SH-01", "Write-Output (2+2)", "4"),
        ("SH-01", "$a=4; Write-Output $a+2", "4+2"),
        ("SH-02", "Write-Output a#b", "a#b"),
        ("SH-02", "Write-Output x\"b c\"d", "xb cd"),
        ("SH-02", "Write-Output \"a\"b", "a\nb"),
        ("SH-02", "Write-Output [192.0.2.1] a<b", "[192.0.2.1]\na<b"),
        ("SH-03", "(Write-Output -NoEnumerate a,b , c).Count", "3"),
        ("SH-04", "Set-SendConnector 'To internet' -SourcePort -5; (Get-SendConnector 'To internet').SourcePort", "-5"),
        (
            "SH-05",
            "Get-SendConnector \u{2013}Identity \u{201c}To internet\u{201d} | select \u{2013}Expand Name",
            "To internet",
        ),
        ("SH-05", "Write-Output\u{a0}x", "x"),
        ("SH-06", "35MB; 1.5GB; 7/2; 6/2; 0x1F; 1e3", "36700160\n1610612736\n3.5\n3\n31\n1000"),
        ("SH-06", "Write-Output 1.2.3 0.0.0.0:25 10:00", "1.2.3\n0.0.0.0:25\n10:00"),
        ("SH-06", "Set-SendConnector 'To internet' -Comment 007; (Get-SendConnector 'To internet').Comment", "007"),
        (
            "SH-07",
            "$c = Get-SendConnector 'To internet'; \"$c.Name\"; \"$($c.Name)\"; \"$(1,2)\"",
            "To internet.Name\nTo internet\n1 2",
        ),
        ("SH-07", "\"a`tb\"; 'it''s'; \"say \"\"x\"\" `$y ${env:NAME}\"", "a\tb\nit's\nsay \"x\" $y value"),
        ("SH-08", "@'\na $x\n b\n'@\n@\"\nx$(1+1)\n\"@", "a $x\n b\nx2"),
        ("SH-09", "1 # one\n<# two\n #> 3\n#Requires -Version 5", "1\n3"),
        ("SH-10", "1,2 |\n % { $_ + 1 }\n1 +\n 2\nWrite-Output `\n x\n1..2\n| % { $_ }", "2\n3\n3\nx\n1\n2"),
        ("SH-11", "(SendConnector).Count", "3"),
        ("CM-48", "$server = Mailbox01; $server", "Mailbox01"),
        ("CM-1", "$X = 1; IF ($x -EQ 1) { 'yes' }", "yes"),
        (
            "CM-22",
            "Set-SendConnector 'To internet' -Enabled: $false; (Get-SendConnector 'To internet').Enabled",
            "False",
        ),
        ("CM-23", "Set-SendConnector 'To internet' -Ena $false; (Get-SendConnector 'To internet').Enabled", "False"),
        ("CM-45", "Write-Output SMTP:*;100 -InputObject x", "SMTP:*;100"),
        (
            "CM-20",
            "Set-SendConnector -Comment x -Force 'To internet'; (Get-SendConnector -Identity 'To internet').Comment",
            "x",
        ),
        (
            "CM-27",
            "Get-SendConnector 'To internet' -Verbose -Debug -ErrorAction Stop -ErrorVariable e -WarningAction Stop -WarningVariable w -InformationAction Continue -InformationVariable i -OutVariable o -OutBuffer 1 -PipelineVariable p | % Name; $o.Name",
            "To internet\nTo internet",
        ),
    ]);
}

#[test]
fn values() {
    check(&[
        (
            "SH-20",
            "[bool]@($false); [bool]@(0,0); [bool]'False'; [bool]@{}; [bool]''",
            "False\nTrue\nTrue\nTrue\nFalse",
        ),
        ("SH-21", "1 -eq '1.0'; '1.0' -eq 1; 'b' -gt 'A'; 'a' -ceq 'A'", "True\nFalse\nTrue\nFalse"),
        ("SH-22", "1,2,3 -ge 2; if (@() -eq $null) { 'x' } else { 'y' }", "2\n3\ny"),
        ("SH-23", "'Default MBX01' -match '(\\w+)$'; $Matches[1]; 'a1b2' -replace '\\d','-'", "True\nMBX01\na-b-"),
        ("SH-23", "'a,b;c' -split '[,;]' -join '|'; -join ('a','b'); -split 'a  b'", "a|b|c\nab\na\nb"),
        ("SH-24", "'SMTP:*;1' -in 'x','smtp:*;1'; 1,2 -contains 3; 'a*' -in 'ab'", "True\nFalse\nFalse"),
        (
            "SH-25",
            "$true -or $false -and $false; ('a','b' + 'c').Count; 2 + 3 * 4; 1..3 -join ','",
            "False\n3\n14\n1,2,3",
        ),
        ("SH-26", "5 + '1'; '5' + 1; 'ab' * 2; [int]2.5; [int]3.5; 7 % 3", "6\n51\nabab\n2\n4\n1"),
        (
            "SH-27",
            "(Get-SendConnector).Name -join ','; $null.x; (5).Count; $null.Count",
            "To internet,Outbound to cloud,Partner relay\n1\n0",
        ),
        (
            "SH-28",
            "$a = 1..5; $a[0]; $a[-1]; $a[1..2] -join ','; $a[9]; @($null).Count; @().Count; $a[$a.length-1]",
            "1\n5\n2,3\n1\n0\n5",
        ),
        ("SH-29", "(1,2 | ? { $_ -gt 1 }).GetType().Name; @(1,2 | ? { $_ -gt 1 }).GetType().Name", "Int32\nObject[]"),
        (
            "SH-30",
            "$h = @{a=1; 'b c'=2}; $h.A; $h['b c']; $h.ContainsKey('A'); $h.Count; [pscustomobject]@{A=1;B='x'} | ft -AutoSize",
            "1\n2\nTrue\n2\n\nA B\n- -\n1 x",
        ),
        ("SH-31", "$env:NAME; $undefined; $true; $OFS='-'; \"$(1,2)\"", "value\nTrue\n1-2"),
        (
            "SH-32",
            "[datetime]'3/4/2026'; [timespan]'1.02:00:00'; [string[]]('a','b') -join ''; [guid]'6F0F7C3E-52B1-4F0E-9A3C-1D2E3F405060'",
            "3/4/2026 12:00:00 AM\n1.02:00:00\nab\n6f0f7c3e-52b1-4f0e-9a3c-1d2e3f405060",
        ),
        (
            "SH-33",
            "[string]::IsNullOrEmpty(''); [math]::Round(2.567, 2); [string]::Join('-', 'a', 'b'); [int]::MaxValue; [timespan]::FromDays(2)",
            "True\n2.57\na-b\n2147483647\n2.00:00:00",
        ),
        (
            "SH-34",
            "'Abc'.ToUpper(); 'a.b.c'.Split('.')[1]; 'abc'.Substring(1,1); 'abc'.Contains('B'); 'x'.PadLeft(3,'.'); (10MB).GetType().Name",
            "ABC\nb\nb\nFalse\n..x\nInt32",
        ),
        ("SH-34", "$l = New-Object System.Collections.ArrayList; $null = $l.Add('a'); $l.Count", "1"),
        ("SH-35", "1 -is [int]; 'x' -isnot [int]; '5' -as [int]; $null -eq ('x' -as [int])", "True\nTrue\n5\nTrue"),
        ("SH-36", "$null ?? 'x'; 1 -eq 1 ? 'yes' : 'no'", "x\nyes"),
        ("CM-30", "$x = 5; $x += 2; $x *= 3; $x -= 1; $x /= 4; $x; $x++; $x; $x--; $x", "5\n6\n5"),
        (
            "CM-36",
            "$c = Get-SendConnector 'To internet'; $c.AddressSpaces += 'SMTP:a.example;1'; $c.AddressSpaces.Count",
            "2",
        ),
    ]);
}

#[test]
fn commands_and_pipelines() {
    check(&[
        ("SH-40", "1..1000000 | select -First 2", "1\n2"),
        ("SH-41", "1..3 | % { $_*2 }", "2\n4\n6"),
        ("SH-42", "'To internet' | Get-SendConnector | % Name", "To internet"),
        (
            "SH-42",
            "Get-SendConnector | ? Enabled | Set-SendConnector -Comment x; (Get-SendConnector | ? Comment -eq x).Count",
            "2",
        ),
        (
            "SH-44",
            "$a = 'To internet'; $h = @{Comment='y'}; Set-SendConnector @a @h; (Get-SendConnector $a).Comment",
            "y",
        ),
        (
            "SH-45",
            "Get-SendConnector|Where{$_.Enabled -eq $false}|%{$_.Name}; Get-SendConnector | where RequireTLS -eq $false | % Name",
            "Partner relay\nTo internet",
        ),
        (
            "SH-46",
            "1,2,3 | % { if ($_ -eq 2) { return }; $_ }; 1..2 | % -Begin { 'b' } -Process { $_ } -End { 'e' }; foreach ($x in $null) { 'no' }",
            "1\n3\nb\n1\n2\ne",
        ),
        ("SH-46", "'ab','cd' | % ToUpper; 'a-b' | % Replace '-' '+'", "AB\nCD\na+b"),
        ("SH-47", "1..5 | select -Skip 1 -First 2; 1..5 | select -Last 1; 1,1,2 | select -Unique", "2\n3\n5\n1\n2"),
        ("SH-47", "Get-SendConnector | select Na*,E* -First 1 | % { $_.Name; $_.Enabled }", "To internet\nTrue"),
        ("SH-48", "1,2 | select @{Name='n';Expression={$_ * 2}} | % n", "2\n4"),
        (
            "SH-49",
            "3,1,2 | sort -Descending; 'b','A','a' | sort | select -First 1; Get-SendConnector | sort @{e={$_.Enabled};Descending=$true},Name | % Name",
            "3\n2\n1\nA\nOutbound to cloud\nTo internet\nPartner relay",
        ),
        (
            "SH-50",
            "1..4 | measure -Sum -Average | % { $_.Count; $_.Sum; $_.Average }; diff (1,2) (2,3) | % SideIndicator",
            "4\n10\n2.5\n=>\n<=",
        ),
        ("SH-51", "Write-Host a b; Write-Host c -NoNewline; Write-Warning w", "a b\ncWARNING: w"),
        ("SH-52", "(gcm Get-SendConnector).Name; (Get-Alias ft).Definition", "Get-SendConnector\nFormat-Table"),
        (
            "SH-54",
            "$p = ConvertTo-SecureString 'p' -AsPlainText -Force; $c = New-Object System.Management.Automation.PSCredential('u',$p); $c.UserName; $c.Password; $c.GetNetworkCredential().Password; [pscredential]::new('v',$p).UserName",
            "u\nSystem.Security.SecureString\np\nv",
        ),
        (
            "SH-55",
            "'{\"a\":[1,2]}' | ConvertFrom-Json | % { $_.a[1] }; @{x=1} | ConvertTo-Json -Compress; [pscustomobject]@{A='x'} | Export-Csv e.csv -NoTypeInformation; (Import-Csv e.csv).A",
            "2\n{\"x\":1}\nx",
        ),
    ]);
}

#[test]
fn files() {
    check(&[
        (
            "SH-53, CM-37",
            "1,2 > x.txt; Get-Content x.txt; 3 >> x.txt; (gc x.txt).Count; 'gone' > $null; Get-SendConnector Nope 2> $null; 'on'",
            "1\n2\n3\non",
        ),
        (
            "CM-37",
            "1,2 | Set-Content -Path f.txt; 'x' | Out-File g.txt; Get-Content f.txt; Get-Content g.txt",
            "1\n2\nx",
        ),
        (
            "CM-39",
            "Set-Content f.txt 'abc' -NoNewline; ([byte[]]$(Get-Content -Path \"f.txt\" -Encoding Byte -ReadCount 0)).Length; ([System.IO.File]::ReadAllBytes('f.txt')).Length; $d = [System.IO.File]::ReadAllBytes('f.txt'); $d.Length",
            "3\n3\n3",
        ),
        (
            "CM-77",
            "$c = Get-SendConnector 'To internet' | select Name,Enabled; $c | ConvertTo-Json -Compress; $c | fl",
            "{\"Name\":\"To internet\",\"Enabled\":true}\n\nName    : To internet\nEnabled : True",
        ),
    ]);
}

#[test]
fn statements() {
    check(&[
        (
            "SH-56",
            "$x = if ($false) { 1 } elseif ($true) { 2 } else { 3 }; $x; for ($i=0; $i -lt 3; $i++) { $i }; $n=0; while ($true) { $n++; if ($n -gt 2) { break } }; $n; do { $n-- } until ($n -le 0); $n",
            "2\n0\n1\n2\n3\n0",
        ),
        ("SH-56", "foreach ($x in 1..4) { if ($x -eq 2) { continue }; if ($x -eq 4) { break }; $x }", "1\n3"),
        (
            "SH-57",
            "switch (5) { 5 {'five'} {$_ -gt 3} {'big'} default {'other'} }; switch -Regex ('ab') { '^a' {'starts'; break} 'b' {'no'} }",
            "five\nbig\nstarts",
        ),
        (
            "SH-58",
            "try { throw 'oops' } catch { $_.Exception.Message }; try { 1/0 } catch { 'zero' }; try { try { throw 'in' } finally { 'f' } } catch { \"$_\" }",
            "oops\nzero\nf\nin",
        ),
        ("SH-58", "$ErrorActionPreference='Stop'; try { Get-SendConnector Nope } catch { 'caught' }", "caught"),
        (
            "SH-59",
            "function f { param([string]$n='x',[switch]$s) \"$n $s\" }; f; f y -s; f -n z",
            "x False\ny True\nz False",
        ),
        (
            "SH-59",
            "function add($a, $b) { return $a + $b; 'never' }; add 1 2; function g { process { $_ * 2 } }; 1..2 | g; & { $args.Count } 1 2 3",
            "3\n2\n4\n3",
        ),
        (
            "SH-59",
            "function h { [CmdletBinding()] param([Parameter(Mandatory,Position=0)][ValidateSet('a','b')]$v) $v }; h a; filter k { $_ + 1 }; 1 | k",
            "a\n2",
        ),
        ("CM-35", "ForEach ($t in 'a','b') { $t; }", "a\nb"),
    ]);
}

#[test]
fn scripts_are_run_from_files() {
    // CM-38
    let script = "param($name = 'none')\n\"hello $name\"\n$inner = 1";
    let (out, errors, _) =
        run_with(".\\Hello.ps1 -name you; $inner; . .\\Hello.ps1; $inner", &[("./Hello.ps1", script)], &[]);
    assert_eq!((out.as_str(), errors.as_str()), ("hello you\nhello none\n1", ""));
}

#[test]
fn questions_are_asked_and_answered() {
    // CM-60…CM-63, CM-65
    let ask = |line: &str, answers: &[&str]| run_with(&format!("{line}; @(Get-SendConnector).Count"), &[], answers);
    let (out, errors, _) = ask("Remove-SendConnector 'To internet'", &["y"]);
    assert!(out.contains("Removing Send Connector \"To internet\".") && out.contains("[A] Yes to All"), "{out}");
    assert!(out.ends_with('2') && errors.is_empty(), "{out}");
    assert!(ask("Remove-SendConnector 'To internet'", &["n"]).0.ends_with('3'));
    assert!(ask("Get-SendConnector | Remove-SendConnector", &["a"]).0.ends_with('0'));
    assert!(ask("Get-SendConnector | Remove-SendConnector", &["y", "l"]).0.ends_with('2'));
    assert!(ask("Remove-SendConnector 'To internet' -Confirm:$false", &[]).0.ends_with('2'));
    assert!(ask("Remove-SendConnector 'To internet' -WhatIf -Confirm", &[]).0.contains("What if: Removing"));
    let (out, errors, ended) = ask("Remove-SendConnector 'To internet'", &[]);
    assert!(out.ends_with('3') && errors.contains("-Confirm:$false") && ended.failed, "{errors}");
}

//! The vectors SH-80 to SH-96.

use super::{run, run_with};

fn check(rule: &str, input: &str, expected: &str) {
    let (out, errors) = run(input);
    assert_eq!(errors, "", "{rule}: {input}");
    assert_eq!(out, expected, "{rule}: {input}");
}

#[test]
fn documented_lines_give_what_is_documented() {
    for (rule, input, expected) in [
        (
            "SH-80",
            "Get-SendConnector | sort Name | select -ExpandProperty Name",
            "Outbound to cloud\nPartner relay\nTo internet",
        ),
        ("SH-81", "(Get-SendConnector | ? { $_.AddressSpaces -like 'smtp:*;10' }).Name", "To internet"),
        (
            "SH-82",
            "Get-SendConnector | group RequireTLS -NoElement | sort Name | ft Name,Count -AutoSize",
            "Name  Count\n----  -----\nFalse     1\nTrue      2",
        ),
        (
            "SH-83",
            "Get-SendConnector 'Partner relay' | fl Name,Enabled,SmartHosts,MaxMessageSize",
            "Name           : Partner relay\nEnabled        : False\nSmartHosts     : {[192.0.2.10], relay.partner.example}\n\
             MaxMessageSize : Unlimited",
        ),
        ("SH-84", "@(Get-SendConnector | ? Enabled).Count", "2"),
        (
            "SH-85",
            "$t=0; foreach ($c in Get-SendConnector) { if (!$c.MaxMessageSize.IsUnlimited) { $t += $c.MaxMessageSize.Value.ToMB() } }; \"$t MB\"",
            "70 MB",
        ),
        (
            "SH-86",
            "Get-SendConnector | sort Name | select Name,@{n='Hosts';e={$_.SmartHosts -join ' '}} | ConvertTo-Csv -NoTypeInformation",
            "\"Name\",\"Hosts\"\n\"Outbound to cloud\",\"contoso-example.mail.protection.example\"\n\
             \"Partner relay\",\"[192.0.2.10] relay.partner.example\"\n\"To internet\",\"\"",
        ),
        (
            "SH-87",
            "$c = Get-SendConnector 'To internet'; \"$($c.Name): $($c.AddressSpaces)\"",
            "To internet: SMTP:*;10",
        ),
        ("SH-88", "1,2,3,4 -ge 3 -join '+'", "3+4"),
        (
            "SH-89",
            "switch -Wildcard ('MBX01','EDGE1') { 'MBX*' {\"$_ mailbox\"} 'EDGE*' {\"$_ edge\"} default {'?'} }",
            "MBX01 mailbox\nEDGE1 edge",
        ),
        (
            "SH-90",
            "try { Get-SendConnector Nope -ErrorAction Stop } catch { 'not there' } finally { 'done' }",
            "not there\ndone",
        ),
        (
            "SH-91",
            "$p = @{ Identity='Partner relay'; Enabled=$true; WhatIf=$true }; Set-SendConnector @p; (Get-SendConnector 'Partner relay').Enabled",
            "What if: Setting Send Connector \"Partner relay\".\nFalse",
        ),
        ("SH-92", "'{0,-18}{1,4}' -f 'Partner relay', 587", "Partner relay      587"),
        ("SH-93", "if ($null -eq (Get-SendConnector | ? Name -like 'Zz*')) { 'none' } else { 'some' }", "none"),
    ] {
        check(rule, input, expected);
    }
}

#[test]
fn objects_are_shown_as_documented() {
    for (rule, input, expected) in [
        ("CM-70", "[pscustomobject]@{A=1;Long='x'},[pscustomobject]@{A=2} | fl", "A    : 1\nLong : x\n\nA : 2"),
        (
            "CM-70, CM-71",
            "Get-SendConnector 'To internet'",
            "Identity                                                                Enabled\n\
             --------                                                                -------\n\
             To internet                                                                True",
        ),
        (
            "CM-71",
            "[pscustomobject]@{A='x'*42;B='y'*42} | ft",
            "A                                       B\n-                                       -\n\
             xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...",
        ),
        (
            "CM-71",
            "[pscustomobject]@{A='x'*42;B='y'*42} | ft -Wrap",
            "A                                       B\n-                                       -\n\
             xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n\
             xxx                                     yyy",
        ),
        (
            "CM-72",
            "[pscustomobject]@{Truth=$true;List=1..17;Empty=$null;Span=[timespan]'00:10:00'} | fl",
            "Truth : True\nList  : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16...}\nEmpty :\nSpan  : 00:10:00",
        ),
    ] {
        check(rule, input, expected);
    }
}

#[test]
fn what_is_formatted_cannot_be_written_as_objects() {
    // SH-94, SH-66
    let (out, errors) = run("Get-SendConnector | ft Name | Export-Csv x.csv; Test-Path x.csv");
    assert!(errors.contains("Select-Object"), "{errors}");
    assert_eq!(out, "False");
}

#[test]
fn a_text_of_a_file_is_no_truth() {
    // SH-95, SH-55, SC-143
    let line = "Set-SendConnector 'To internet' -Enabled (Import-Csv e.csv).Enabled";
    let (_, errors, ended) = run_with(line, &[("e.csv", "\"Enabled\"\n\"False\"\n")], &[]);
    assert!(errors.contains("Cannot process argument transformation on parameter 'Enabled'."), "{errors}");
    assert!(errors.contains("-eq 'True'"), "{errors}");
    assert!(ended.failed); // CM-83
}

#[test]
fn what_is_open_is_incomplete() {
    // SH-96, SB-03
    let (_, errors, ended) = run_with("Get-SendConnector \"To internet", &[], &[]);
    assert!(errors.contains("The string is missing the terminator: \"."), "{errors}");
    assert_eq!(ended.incomplete.as_deref(), Some("The string is missing the terminator: \"."));
}

//! Permissions of connectors: what is shown, given, denied and taken away.

use super::world::{ORGANIZATION, Session};

const ANONYMOUS: &str = "'NT AUTHORITY\\ANONYMOUS LOGON'";

#[track_caller]
fn run(session: &mut Session, input: &str) -> String {
    let (out, errors) = session.run(input);
    assert_eq!(errors, "", "{input}");
    out
}

#[track_caller]
fn refused(input: &str, expected: &str) {
    let mut session = Session::over(ORGANIZATION);
    let (_, errors) = session.run(input);
    assert!(errors.contains(expected), "{input}: {errors}");
    assert_eq!(*session.commits.borrow(), 0, "{input}");
}

#[test]
fn what_a_send_connector_gives_is_shown_as_documented() {
    // PF-10, PF-61, PF-64
    let mut session = Session::over(ORGANIZATION);
    assert_eq!(run(&mut session, "(Get-ADPermission 'To internet').Count"), "21");
    let table = "Get-ADPermission -Identity 'To internet' -User 'NT AUTHORITY\\ANONYMOUS LOGON' | \
                 where {($_.Deny -eq $false) -and ($_.IsInherited -eq $false)} | Format-Table -AutoSize User,ExtendedRights";
    assert_eq!(
        run(&mut session, table),
        "User                         ExtendedRights\n\
         ----                         --------------\n\
         NT AUTHORITY\\ANONYMOUS LOGON {ms-Exch-Send-Headers-Routing}"
    );
    let default =
        run(&mut session, "Get-ADPermission 'To internet' -User 'Exchange Servers' | select -First 1 | ft -AutoSize");
    assert!(default.starts_with("Identity    User                      Deny Inherited\n"), "{default}");
    assert!(default.ends_with("To internet CONTOSO\\Exchange Servers False     False"), "{default}");
    assert_eq!(run(&mut session, "(Get-ADPermission 'To internet' -Owner).Owner"), "Organization Management");
}

#[test]
fn rights_of_a_send_connector_are_given_denied_and_taken_away() {
    // PF-3, PF-5, PF-33, PF-62, PF-63, PF-65, PF-67, PF-69
    let mut session = Session::over(ORGANIZATION);
    let rights = format!(
        "(Get-ADPermission 'To internet' -User {ANONYMOUS} | % {{ \"$($_.Deny) $($_.ExtendedRights)\" }}) -join ', '"
    );
    let added = run(
        &mut session,
        &format!(
            "Add-ADPermission 'To internet' -User {ANONYMOUS} -ExtendedRights 'Send Organization Headers',ms-exch-send-headers-forest | % ExtendedRights"
        ),
    );
    assert_eq!(added, "ms-Exch-Send-Headers-Organization\nms-Exch-Send-Headers-Forest");
    run(
        &mut session,
        "Add-ADPermission 'To internet' -User 'anonymous logon' -Deny -AccessRights ExtendedRight -ExtendedRights ms-Exch-Send-Headers-Organization",
    );
    run(
        &mut session,
        &format!(
            "Remove-ADPermission 'To internet' -User {ANONYMOUS} -ExtendedRights ms-Exch-Send-Headers-Routing -Confirm:$false"
        ),
    );
    assert_eq!(
        run(&mut session, &rights),
        "False ms-Exch-Send-Headers-Organization, False ms-Exch-Send-Headers-Forest, True ms-Exch-Send-Headers-Organization"
    );
    // What was taken of the documented ones is given back.
    run(
        &mut session,
        &format!("Add-ADPermission 'To internet' -User {ANONYMOUS} -ExtendedRights ms-Exch-Send-Headers-Routing"),
    );
    run(
        &mut session,
        &format!("Get-ADPermission 'To internet' -User {ANONYMOUS} | ? Deny | Remove-ADPermission -Confirm:$false"),
    );
    run(
        &mut session,
        &format!(
            "Remove-ADPermission 'To internet' -User {ANONYMOUS} -ExtendedRights 'Send Organization Headers','Send Forest Headers' -Confirm:$false"
        ),
    );
    assert_eq!(run(&mut session, &rights), "False ms-Exch-Send-Headers-Routing");
    let twice = run(
        &mut session,
        &format!("Add-ADPermission 'To internet' -User {ANONYMOUS} -ExtendedRights ms-Exch-Send-Headers-Routing"),
    );
    assert!(twice.starts_with("WARNING: The appropriate access control entry is already present"), "{twice}");
    let nothing = run(
        &mut session,
        "Remove-ADPermission 'To internet' -User Alice -ExtendedRights ms-Exch-Send-Headers-Routing -Confirm:$false",
    );
    assert!(
        nothing.starts_with(
            "WARNING: There is no such entry on the object \"To internet\" for account \"CONTOSO\\Alice\""
        ),
        "{nothing}"
    );
}

#[test]
fn the_recipe_of_an_anonymous_relay_runs_as_it_is_documented() {
    // PF-36, PF-37, PF-60
    let mut session = Session::over(ORGANIZATION);
    run(
        &mut session,
        "New-ReceiveConnector -Name 'Anonymous Relay' -TransportRole FrontendTransport -Custom -Bindings 0.0.0.0:25 -RemoteIpRanges 192.168.5.10,192.168.5.11 | Out-Null",
    );
    run(&mut session, "Set-ReceiveConnector 'Anonymous Relay' -PermissionGroups AnonymousUsers");
    run(
        &mut session,
        &format!(
            "Get-ReceiveConnector 'Anonymous Relay' | Add-ADPermission -User {ANONYMOUS} -ExtendedRights ms-Exch-SMTP-Accept-Any-Recipient | Out-Null"
        ),
    );
    let shown = "(Get-ReceiveConnector 'Anonymous Relay').PermissionGroups; (Get-ADPermission 'Anonymous Relay').Count";
    assert_eq!(run(&mut session, shown), "AnonymousUsers, Custom\n5");
    // The groups are changed, and what was given by hand stays.
    run(&mut session, "Set-ReceiveConnector 'Anonymous Relay' -PermissionGroups ExchangeUsers");
    assert_eq!(
        run(&mut session, "(Get-ADPermission 'Anonymous Relay' -User 'ANONYMOUS LOGON').ExtendedRights"),
        "ms-Exch-SMTP-Accept-Any-Recipient"
    );
    // PF-33b
    let stays = run(
        &mut session,
        "Remove-ADPermission 'Anonymous Relay' -User 'Authenticated Users' -ExtendedRights ms-Exch-SMTP-Submit -Confirm:$false",
    );
    assert!(stays.starts_with("WARNING: ms-Exch-SMTP-Submit of \"NT AUTHORITY\\Authenticated Users\" comes from the permission group ExchangeUsers"), "{stays}");
}

#[test]
fn what_is_no_permission_is_refused() {
    // PF-68
    let add = |rest: &str| format!("Add-ADPermission {rest}");
    refused(&add("'To internet' -User Alice -ExtendedRights ms-Exch-SMTP-Submit"), "is no right of Send connectors");
    refused(
        &add("'To internet' -User Nobody -ExtendedRights ms-Exch-Send-Headers-Routing"),
        "neither a mailbox nor one of",
    );
    refused(&add("'To internet' -User Alice"), "No right is named");
    refused(
        &add("Nowhere -User Alice -ExtendedRights ms-Exch-Send-Headers-Routing"),
        "Get-SendConnector and Get-ReceiveConnector list",
    );
    refused(&add("Alice -User Bob -ExtendedRights 'Send As'"), "is not available yet");
    refused(
        &add("'To internet' -User Alice -AccessRights GenericAll -ExtendedRights ms-Exch-Send-Headers-Routing"),
        "ExtendedRight",
    );
    refused(
        "Remove-ADPermission 'To internet' -User 'Partner Servers' -ExtendedRights ms-Exch-Send-Headers-Routing",
        "nobody to ask",
    );
    let mut session = Session::over(ORGANIZATION);
    let open = run(
        &mut session,
        &format!(
            "Add-ADPermission 'Default Frontend MBX01' -User {ANONYMOUS} -ExtendedRights ms-Exch-SMTP-Accept-Any-Recipient -WhatIf"
        ),
    );
    assert!(
        open.contains("WARNING: ")
            && open.contains("may relay to anybody")
            && open.contains("What if: Adding the permission of"),
        "{open}"
    );
    assert_eq!(*session.commits.borrow(), 0);
}

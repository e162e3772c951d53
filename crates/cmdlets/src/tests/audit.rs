//! The audit log as the documented command searches it.

use super::queues::Asked;
use super::world::{ORGANIZATION, Session};
use crate::audit::{AuditEntry, AuditLog, AuditSearch};

/// A log with one line, and what was looked for.
pub(super) struct Written(pub(super) Asked);

impl AuditLog for Written {
    fn search(&mut self, wanted: &AuditSearch) -> Result<Vec<AuditEntry>, String> {
        self.0.borrow_mut().push(format!("{wanted:?}"));
        Ok(vec![AuditEntry {
            at: "2026-11-22T08:15:30.250Z".to_owned(),
            caller: "anna".to_owned(),
            cmdlet: "Set-SendConnector".to_owned(),
            object: "sendConnectors[\"Partner\"]".to_owned(),
            parameters: vec!["port".to_owned()],
            modified: vec!["port: 25 -> 587".to_owned()],
            succeeded: true,
            server: "MBX01".to_owned(),
            ..AuditEntry::default()
        }])
    }
}

#[test]
fn the_log_is_searched_by_the_documented_parameters() {
    let mut session = Session::over(ORGANIZATION);
    let input = "Search-AdminAuditLog -Cmdlets Set-SendConnector,Remove-Message -UserIds anna -Parameters Port -ObjectIds Partner \
                 -IsSuccess $true -StartDate 1/24/2026 -EndDate '2/12/2026 9:00 AM' -ResultSize 5 -StartIndex 2 | \
                 % { \"$($_.RunDate) $($_.Caller) $($_.ModifiedProperties) $($_.Error)\" }";
    let (out, errors) = session.run(input);
    assert_eq!((out.as_str(), errors.as_str()), ("11/22/2026 8:15:30 AM anna port: 25 -> 587 None", ""));
    let asked = session.asked.borrow().join("\n");
    for expected in [
        "cmdlets: [\"Set-SendConnector\", \"Remove-Message\"]",
        "user_ids: [\"anna\"]",
        "parameters: [\"Port\"]",
        "object_ids: [\"Partner\"]",
        "success: Some(true)",
        "start_index: 2, limit: 5",
    ] {
        assert!(asked.contains(expected), "{expected}: {asked}");
    }
    let (out, _) = session.run("Search-AdminAuditLog | Format-Table -AutoSize CmdletName,Succeeded; (Get-AdminAuditLogConfig).AdminAuditLogAgeLimit");
    assert!(out.contains("Set-SendConnector      True") && out.ends_with("90.00:00:00"), "{out}");
    assert!(session.asked.borrow().join(" ").contains("limit: 1000"));
}

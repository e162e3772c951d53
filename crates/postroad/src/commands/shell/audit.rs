//! The audit log for the shell: of the admin service that is asked, or of the server whose settings were named.

use std::path::PathBuf;

use admin_api::Api;
use cmdlets::AuditLog;
use cmdlets::audit::{AuditEntry, AuditSearch};
use logs::audit::{AuditLine, AuditQuery, folder, search};

use super::super::place::Reach;

/// Where it is.
enum Where {
    Api(Api),
    Folder(PathBuf),
}

/// The audit log of a server.
pub(super) struct LiveAuditLog {
    at: Where,
    runtime: tokio::runtime::Handle,
}

impl LiveAuditLog {
    /// That of the place that was reached.
    pub(super) fn of(reach: &Reach, runtime: tokio::runtime::Handle) -> Option<Self> {
        let at = match (reach.api(), reach.settings()) {
            (Some(api), _) => Where::Api(api.clone()),
            (None, settings) => Where::Folder(folder(&settings?.state)),
        };
        Some(Self { at, runtime })
    }
}

impl AuditLog for LiveAuditLog {
    fn search(&mut self, wanted: &AuditSearch) -> Result<Vec<AuditEntry>, String> {
        let AuditSearch { start, end, cmdlets, object_ids, user_ids, parameters, success, start_index, limit } =
            wanted.clone();
        let query = AuditQuery { start, end, cmdlets, object_ids, user_ids, parameters, success, start_index };
        let found = match &self.at {
            Where::Api(api) => {
                self.runtime.block_on(api.search_audit(query, limit)).map_err(|error| error.to_string())?
            }
            Where::Folder(folder) => {
                search(folder, &query, limit).map_err(|error| format!("{}: {error}", folder.display()))?
            }
        };
        Ok(found.iter().map(entry).collect())
    }
}

fn entry(line: &AuditLine) -> AuditEntry {
    let get = |name: &str| line.get(name).to_owned();
    let list = |name: &str, by: &str| {
        line.get(name).split(by).filter(|item| !item.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    AuditEntry {
        at: get("date-time"),
        caller: get("caller"),
        through: get("through"),
        client: get("client"),
        cmdlet: get("cmdlet"),
        object: get("object-modified"),
        parameters: list("cmdlet-parameters", ";"),
        modified: list("modified-properties", "; "),
        succeeded: line.get("succeeded") == "True",
        error: get("error"),
        server: get("originating-server"),
        id: get("log-id"),
    }
}

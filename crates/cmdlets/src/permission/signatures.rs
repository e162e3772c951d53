//! Signatures of the commands of permissions, as their pages have them.

use shell::{Parameter, Signature, Takes};

/// The type of entries.
pub(crate) const ENTRY: &str = "ADAcePresentationObject";

/// The three commands.
pub(crate) fn signatures() -> Vec<Signature> {
    ["Get", "Add", "Remove"].map(signature).into()
}

fn signature(verb: &str) -> Signature {
    let accepts = vec!["SendConnector".into(), "ReceiveConnector".into()];
    let help = "The connector, of either kind: its name, SERVER\\NAME or its GUID.";
    let of = |parameter: Parameter| if verb == "Get" { parameter } else { parameter.of_sets(&["AccessRights"]) };
    let identity = Parameter { accepts, ..Parameter::new("Identity", Takes::Text, help).at(0).piped() };
    let user_help = "Whom it is for: NT AUTHORITY\\ANONYMOUS LOGON and the other documented ones, or a mailbox.";
    let mut user = of(Parameter::new("User", Takes::Text, user_help));
    let mut parameters = vec![of(identity.required())];
    if verb == "Get" {
        user = user.of_sets(&["AccessRights"]);
        parameters.push(user);
        parameters.push(Parameter::new("Owner", Takes::Switch, "Who owns the connector.").of_sets(&["Owner"]));
    } else {
        parameters.push(user.required());
        let rights = "Rights: ms-Exch-SMTP-Accept-Any-Recipient, or the names that dialogues show.";
        parameters.push(of(Parameter::new("ExtendedRights", Takes::List, rights)));
        let access = "ExtendedRight, which need not be said.";
        let word = Takes::Words("ActiveDirectoryRights".into(), vec!["ExtendedRight".into()]);
        parameters.push(of(Parameter::new("AccessRights", word, access)));
        parameters.push(of(Parameter::new("Deny", Takes::Switch, "The right is denied, whatever else gives it.")));
        let entry = Parameter::new("Instance", Takes::Any, "An entry that Get-ADPermission gave.");
        let entry = Parameter { from_pipeline: true, accepts: vec![ENTRY.into()], ..entry.required() };
        parameters.push(entry.of_sets(&["Instance"]));
        let kinds = ["None", "All", "Descendents", "SelfAndChildren", "Children"].map(Into::into).into();
        let kinds = Takes::Word("ActiveDirectorySecurityInheritance".into(), kinds);
        parameters.push(Parameter::new(
            "InheritanceType",
            kinds,
            "Accepted without effect: nothing is below a connector.",
        ));
        for name in ["ChildObjectTypes", "InheritedObjectType", "Properties", "Owner"] {
            let why = Some("a connector has rights of sessions alone".into());
            parameters.push(Parameter { retired: why, absent: true, ..Parameter::new(name, Takes::Any, "") });
        }
    }
    parameters.push(Parameter::new(
        "DomainController",
        Takes::Text,
        "Accepted without effect: there is one directory.",
    ));
    let (synopsis, examples) = told(verb);
    Signature {
        name: format!("{verb}-ADPermission").into(),
        synopsis: synopsis.into(),
        parameters,
        examples: examples.iter().map(|(command, meaning)| ((*command).into(), (*meaning).into())).collect(),
        changes: verb != "Get",
        asks: verb == "Remove",
        returns: if verb == "Remove" { "".into() } else { ENTRY.into() },
        ..Signature::default()
    }
}

/// What a command does, and examples.
fn told(verb: &str) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match verb {
        "Get" => (
            "Shows who holds which rights on a connector.",
            &[("Get-ADPermission \"To internet\" | Format-Table User,ExtendedRights", "whom it gives which rights")],
        ),
        "Add" => (
            "Gives somebody rights on a connector, or denies them to him.",
            &[(
                "Get-ReceiveConnector \"Anonymous Relay\" | Add-ADPermission -User \"NT AUTHORITY\\ANONYMOUS LOGON\" -ExtendedRights ms-Exch-SMTP-Accept-Any-Recipient",
                "who does not log on may relay by that connector",
            )],
        ),
        _ => (
            "Takes rights on a connector from somebody, or what denied them to him.",
            &[(
                "Remove-ADPermission \"To internet\" -User \"NT AUTHORITY\\ANONYMOUS LOGON\" -ExtendedRights ms-Exch-Send-Headers-Routing",
                "Received lines do not leave by that connector",
            )],
        ),
    }
}

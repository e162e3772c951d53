//! What the commands about recipients and members of groups take.

use shell::{Parameter, Signature, Takes};

use crate::noun::{Noun, Part};

/// Parameters by which recipients are looked for.
pub(crate) fn searched(noun: &Noun) -> Vec<Parameter> {
    let mut all = vec![
        Parameter::new("ResultSize", Takes::Any, "How many at most."),
        Parameter::new("Anr", Takes::Text, "Those whose name, alias or address begins so."),
        Parameter::new("Filter", Takes::Text, "Those for which it holds: \"Name -like 'A*' -and Database -eq 'DB1'\"."),
    ];
    if noun.part == Part::Mailboxes {
        all.push(Parameter::new("Database", Takes::Text, "Those in this mailbox database."));
    }
    all
}

/// Members of groups: `Get-`, `Add-`, `Remove-` and `Update-DistributionGroupMember`.
pub(crate) fn members() -> impl Iterator<Item = Signature> {
    ["Get", "Add", "Remove", "Update"].into_iter().map(|verb| {
        let identity = Parameter {
            accepts: vec!["DistributionGroup".into()],
            ..Parameter::new("Identity", Takes::Text, "The group.").at(0).piped().required()
        };
        let mut parameters = vec![identity];
        match verb {
            "Get" => {}
            "Update" => parameters.push(
                Parameter::new("Members", Takes::List, "All members from now on: names or addresses.").at(1).required(),
            ),
            _ => parameters.push(
                Parameter::new("Member", Takes::Text, "The recipient: its name or an address of it.").at(1).required(),
            ),
        }
        parameters.push(Parameter::new(
            "DomainController",
            Takes::Text,
            "Accepted without effect: there is one directory.",
        ));
        let example = match verb {
            "Get" => "Get-DistributionGroupMember Sales",
            "Add" => "Add-DistributionGroupMember -Identity Sales -Member bob@contoso.com",
            "Update" => {
                "Update-DistributionGroupMember Sales -Members alice@contoso.com,bob@contoso.com -Confirm:$false"
            }
            _ => "Remove-DistributionGroupMember -Identity Sales -Member bob@contoso.com -Confirm:$false",
        };
        Signature {
            name: format!("{verb}-DistributionGroupMember").into(),
            synopsis: "Members of a group.".into(),
            parameters,
            examples: vec![(example.into(), "a group and a recipient".into())],
            changes: verb != "Get",
            asks: matches!(verb, "Remove" | "Update"),
            returns: if verb == "Get" { "Recipient".into() } else { "".into() },
            ..Signature::default()
        }
    })
}

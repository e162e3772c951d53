//! Commands about what is so and cannot be otherwise: the view of the forest, the intervals of EdgeSync.

use std::rc::Rc;

use shell::{Call, Failure, Object, Objects, Parameter, Signature, Takes, Value};

/// The name of the one object that there is.
const EDGE_SYNC: &str = "Primary EdgeSync Settings";
/// Between two comparisons of everything: crate perimeter.
const EDGE_SYNC_INTERVAL_TICKS: i64 = 3 * 60 * 10_000_000;
/// A name of a type.
const SERVER_SETTINGS: &str = "ADServerSettings";
const SERVICE_CONFIG: &str = "EdgeSyncServiceConfig";

/// The commands.
pub(crate) fn signatures() -> Vec<Signature> {
    let controller =
        || Parameter::new("DomainController", Takes::Text, "Accepted without effect: there is one directory.");
    let example = |command: &str, meaning: &str| vec![(Rc::from(command), Rc::from(meaning))];
    let refused = |name: &str| Parameter {
        retired: Some("there are no domain controllers to choose: the directory is that of the settings file".into()),
        absent: true,
        ..Parameter::new(name, Takes::Any, "")
    };
    let set = Signature {
        name: "Set-ADServerSettings".into(),
        synopsis: "Accepts the view of the entire forest, which every command has anyway.".into(),
        examples: example("Set-ADServerSettings -ViewEntireForest $true", "as it is"),
        parameters: vec![
            Parameter::new("ViewEntireForest", Takes::Bool, "Only $true: an organization is one forest, seen whole."),
            refused("RecipientViewRoot"),
            refused("PreferredServer"),
            refused("ConfigurationDomainController"),
            refused("PreferredGlobalCatalog"),
            refused("SetPreferredDomainControllers"),
        ],
        ..Signature::default()
    };
    let get = Signature {
        name: "Get-ADServerSettings".into(),
        synopsis: "Shows that commands see the entire forest.".into(),
        examples: example("Get-ADServerSettings", "as it is"),
        returns: SERVER_SETTINGS.into(),
        ..Signature::default()
    };
    let edge_sync = Signature {
        name: "Get-EdgeSyncServiceConfig".into(),
        synopsis: "Shows by which intervals EdgeSync works; they are fixed.".into(),
        examples: example("Get-EdgeSyncServiceConfig", "how it is"),
        returns: SERVICE_CONFIG.into(),
        parameters: vec![
            Parameter::new("Identity", Takes::Text, "The one that there is.").at(0).piped(),
            Parameter::new("Site", Takes::Text, "Accepted without effect: it is the same in all sites."),
            controller(),
        ],
        ..Signature::default()
    };
    vec![set, get, edge_sync]
}

/// The columns of their tables.
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    let names: &[&'static str] = match of {
        SERVER_SETTINGS => &["ViewEntireForest"],
        SERVICE_CONFIG => &["Name", "ConfigurationSyncInterval", "RecipientSyncInterval"],
        _ => return None,
    };
    Some(names.iter().map(|name| (*name, *name)).collect())
}

/// Runs one of them; nothing for another command.
pub(crate) fn run(call: &Call<'_>) -> Option<Result<Objects, Failure>> {
    let one = |object| -> Objects { Box::new(std::iter::once(Value::Object(object))) };
    Some(match &*call.signature.name {
        "Get-ADServerSettings" => {
            let properties = vec![("ViewEntireForest".into(), Value::Bool(true))];
            Ok(one(Object::new(SERVER_SETTINGS, None, properties)))
        }
        "Set-ADServerSettings" => match call.bound.get("ViewEntireForest").map(Value::truth) {
            Some(false) => {
                let message = "Commands see the entire forest: an organization is one, and no part of it is hidden.";
                let failure = Failure::new("InvalidArgument", "ViewIsEntire", message);
                Err(failure.advise("choose with -Filter, or with Where-Object"))
            }
            _ => Ok(Box::new(std::iter::empty())),
        },
        "Get-EdgeSyncServiceConfig" => {
            let properties = vec![
                ("Name".into(), Value::of(EDGE_SYNC)),
                ("Identity".into(), Value::of(EDGE_SYNC)),
                ("ConfigurationSyncInterval".into(), Value::Span(EDGE_SYNC_INTERVAL_TICKS)),
                ("RecipientSyncInterval".into(), Value::Span(EDGE_SYNC_INTERVAL_TICKS)),
                ("LogEnabled".into(), Value::Bool(true)),
            ];
            Ok(one(Object::new(SERVICE_CONFIG, Some(EDGE_SYNC), properties)))
        }
        _ => return None,
    })
}

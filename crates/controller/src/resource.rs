//! A custom resource as the controller sees it, and the object of the organization that it asks for.

use organization::{Kind, Object, Properties, Secrets, Written, object_of};
use serde_json::{Map, Value};

/// The API group of all of them.
pub const GROUP: &str = "postroad.dev";
/// Its version.
pub const VERSION: &str = "v1";
/// Says that the object of a resource is managed here, and goes with it.
pub const FINALIZER: &str = "postroad.dev/organization";
/// `true` on a resource whose object may be there already and say otherwise.
pub const ADOPT_ANNOTATION: &str = "postroad.dev/adopt";
/// `true` on a resource whose object stays when the resource goes.
pub const KEEP_ANNOTATION: &str = "postroad.dev/keep";

/// Kinds of objects that may be custom resources, in the order in which they are applied. Servers and databases are none: they are
/// pods and volumes, which nobody makes by a name.
pub const KINDS: [Kind; 5] =
    [Kind::Site, Kind::SiteLink, Kind::AcceptedDomain, Kind::SendConnector, Kind::ReceiveConnector];

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    /// `metadata.name`.
    pub(crate) key: String,
    pub(crate) uid: String,
    pub(crate) version: String,
    pub(crate) generation: i64,
    /// RFC 3339: of two that name the same object the older one has it.
    pub(crate) created: String,
    /// It carries [`FINALIZER`].
    pub(crate) managed: bool,
    /// Somebody deleted it.
    pub(crate) deleting: bool,
    /// It carries [`ADOPT_ANNOTATION`].
    pub(crate) adopts: bool,
    /// It carries [`KEEP_ANNOTATION`].
    pub(crate) keeps: bool,
    /// Why it takes no part in this round.
    pub(crate) held: Option<String>,
    pub(crate) spec: Value,
    pub(crate) status: Value,
}

impl Resource {
    /// Out of what the API server gives; nothing for what is none.
    pub(crate) fn read(kind: Kind, object: &Value) -> Option<Self> {
        let metadata = object.get("metadata")?;
        let text = |key: &str| Some(metadata.get(key)?.as_str()?.to_owned());
        let finalizers = metadata.get("finalizers").and_then(Value::as_array);
        let annotations = metadata.get("annotations");
        let says =
            |annotation: &str| annotations.and_then(|all| all.get(annotation)).is_some_and(|value| value == "true");
        Some(Self {
            kind,
            key: text("name")?,
            uid: text("uid").unwrap_or_default(),
            version: text("resourceVersion").unwrap_or_default(),
            generation: metadata.get("generation").and_then(Value::as_i64).unwrap_or_default(),
            created: text("creationTimestamp").unwrap_or_default(),
            managed: finalizers.is_some_and(|all| all.iter().any(|one| one == FINALIZER)),
            deleting: metadata.get("deletionTimestamp").is_some(),
            adopts: says(ADOPT_ANNOTATION),
            keeps: says(KEEP_ANNOTATION),
            held: None,
            spec: object.get("spec").cloned().unwrap_or_default(),
            status: object.get("status").cloned().unwrap_or_default(),
        })
    }

    /// A condition of its status.
    pub(crate) fn condition(&self, kind: &str) -> Option<&Value> {
        self.status.get("conditions")?.as_array()?.iter().find(|one| one["type"] == kind)
    }

    /// Whether this very version of it was accepted before.
    pub(crate) fn was_accepted(&self) -> bool {
        let accepted = self.condition("Accepted").is_some_and(|one| one["status"] == "True");
        accepted && self.status["observedGeneration"].as_i64() == Some(self.generation)
    }

    /// What the object is called: `spec.name`, else as the resource is.
    pub(crate) fn object_name(&self) -> &str {
        self.spec.get("name").and_then(Value::as_str).unwrap_or(&self.key)
    }

    /// The object that is named, by the name that is unique among those of its kind.
    pub(crate) fn identity(&self) -> (Kind, String) {
        let name = match (self.kind, self.spec.get("server").and_then(Value::as_str)) {
            (Kind::ReceiveConnector, Some(server)) => format!("{server}\\{}", self.object_name()),
            _ => self.object_name().to_owned(),
        };
        (self.kind, envelope::text::folded(&name).into_owned())
    }

    /// The object, or everything that is wrong with what is said of it, a line each.
    pub(crate) fn wanted(&self, secrets: &dyn Secrets) -> Result<Object, String> {
        let empty = Map::new();
        let spec = self.spec.as_object().unwrap_or(&empty);
        let mut properties: Properties = vec![("name".to_owned(), Written::Text(self.object_name().to_owned()))];
        properties.extend(
            spec.iter().filter(|(name, _)| *name != "name").map(|(name, value)| (name.clone(), written(value))),
        );
        let credential = spec.get("authenticationCredential");
        if let Some(wrong) = credential.and_then(|credential| credential_reaches_out(credential, &self.key)) {
            return Err(wrong);
        }
        object_of(self.kind, properties, secrets).map_err(|wrong| {
            let lines = wrong.into_iter().map(|wrong| match wrong.property.as_str() {
                "" => wrong.text,
                property => format!("{property}: {}", wrong.text),
            });
            lines.collect::<Vec<_>>().join("\n")
        })
    }
}

/// A password is in a file of the controller's own folder that is called after the resource, `key` or `key_*`: a resource must not have
/// other files read, nor the password of another one sent to a smart host of its choice, nor hold the password itself.
fn credential_reaches_out(credential: &Value, key: &str) -> Option<String> {
    let wrong = |text: &str| Some(format!("authenticationCredential: {text}"));
    if credential.get("password").is_some() || credential.get("passwordEnvironment").is_some() {
        return wrong("write passwordFile, the name of a file in the controller's folder of credentials, or sealed");
    }
    let file = credential.get("passwordFile")?.as_str().unwrap_or_default();
    let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
    if !plain {
        return wrong("passwordFile is the name of a file, without a folder");
    }
    // No name of a resource has `_`, and many have dots: `partner.eu` is another one than `partner`.
    let own = file.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    if own { None } else { wrong(&format!("passwordFile is called after its resource: {key}, or {key}_2")) }
}

fn written(value: &Value) -> Written {
    match value {
        Value::Null => Written::Nothing,
        Value::Bool(truth) => Written::Truth(*truth),
        Value::Number(number) => number.as_u64().map_or_else(|| Written::Text(number.to_string()), Written::Whole),
        Value::String(text) => Written::Text(text.clone()),
        Value::Array(items) => Written::List(items.iter().map(written).collect()),
        Value::Object(entries) => {
            Written::Map(entries.iter().map(|(name, value)| (name.clone(), written(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use organization::WithoutSecrets;
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "it is written where it is needed")]
    fn connector(spec: Value) -> Resource {
        let object = json!({"metadata": {"name": "internet"}, "spec": spec});
        Resource::read(Kind::SendConnector, &object).unwrap()
    }

    #[test]
    fn what_is_written_is_read_as_in_a_file_and_everything_wrong_is_told() {
        let good = connector(json!({"name": "To the Internet", "addressSpaces": ["*"], "port": 2525}));
        assert_eq!(good.wanted(&WithoutSecrets).unwrap().name(), "To the Internet");
        assert_eq!(good.identity(), (Kind::SendConnector, "to the internet".to_owned()));
        let wrong = connector(json!({"port": 70000, "smartHost": "a"})).wanted(&WithoutSecrets).unwrap_err();
        for part in ["port", "addressSpaces: it must be given", "smartHost: there is no such property"] {
            assert!(wrong.contains(part), "{wrong}");
        }
    }

    #[test]
    fn no_resource_has_a_file_of_the_controller_sent_to_its_smart_host() {
        for file in ["../identity/administrator/key.pem", "/etc/passwd", ".hidden", "a\\b", ""] {
            let spec = json!({"addressSpaces": ["*"], "smartHosts": ["evil.example"], "smartHostAuthMechanism": "BasicAuth",
                "authenticationCredential": {"user": "u", "passwordFile": file}});
            let wrong = connector(spec).wanted(&WithoutSecrets).unwrap_err();
            assert!(wrong.contains("without a folder"), "{wrong}");
        }
        let reads = |file: &str| {
            let credential = json!({"user": "u", "passwordFile": file});
            let text = connector(json!({"addressSpaces": ["*"], "authenticationCredential": credential}));
            text.wanted(&WithoutSecrets).err().unwrap_or_default()
        };
        for file in ["partner", "internet-2", "internet.eu", "intern", "partner_internet"] {
            assert!(reads(file).contains("called after its resource"), "{file} is another's");
        }
        for file in ["internet", "internet_2"] {
            assert!(!reads(file).contains("passwordFile is"), "{file}: {}", reads(file));
        }
        for key in ["password", "passwordEnvironment"] {
            let spec = json!({"addressSpaces": ["*"], "authenticationCredential": {"user": "u", key: "HOME"}});
            assert!(connector(spec).wanted(&WithoutSecrets).is_err());
        }
    }
}

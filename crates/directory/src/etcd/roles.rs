//! Who may do what in etcd: a role for each kind of reading and writing, a user for each service of each server and for
//! administrators, and authentication turned on. Whoever shows a certificate is the user of its common name.
//!
//! ```text
//!   <forest>/configuration           reads configuration, revocations, epochs        every service
//!   <forest>/recipients              reads recipients                                every service
//!   <forest>/presences               reads who is there                              every service
//!   <forest>/presence/<user>         writes its own presence                         that service
//!   <forest>/administration          reads and writes all but presences              administrators, the management service
//! ```
//!
//! A user that has no role may do nothing, and neither may a certificate whose name is no user's.

use std::collections::BTreeSet;

use envelope::{ServerName, Service};
use etcd_client::{Permission, UserAddOptions};

use super::EtcdSettings;
use super::members::Members;
use crate::keys::Keys;
use crate::store::Unavailable;

/// What is to be there.
#[derive(Clone, Debug)]
pub struct EtcdUsers {
    /// Each service, and as whom etcd knows it.
    pub services: Vec<(ServerName, Service, String)>,
    /// Those who administer.
    pub administrators: Vec<String>,
    /// Whoever says what the others may.
    pub root: String,
}

/// Makes roles and users of `forest` what they are to be, and turns authentication on. What is there already stays. Needs the
/// certificate of etcd's root once authentication is on.
///
/// # Errors
/// What etcd said.
pub async fn secure_etcd(settings: EtcdSettings, forest: &str, users: &EtcdUsers) -> Result<(), String> {
    let etcd = Access { members: Members::new(settings), keys: Keys::new(forest), forest: forest.to_owned() };
    etcd.secure(users).await.map_err(|Unavailable(text)| text)
}

struct Access {
    members: Members,
    keys: Keys,
    forest: String,
}

impl Access {
    async fn secure(&self, users: &EtcdUsers) -> Result<(), Unavailable> {
        let roles = self.members.call(|mut client| async move { client.role_list().await }).await?;
        let roles: BTreeSet<String> = roles.roles().iter().cloned().collect();
        let known = self.members.call(|mut client| async move { client.user_list().await }).await?;
        let known: BTreeSet<String> = known.users().iter().cloned().collect();
        let all = self.keys.stored();
        let reads = [
            (
                "configuration",
                vec![self.keys.configuration(), self.keys.epoch(), self.keys.revocations(), self.keys.change()],
            ),
            ("recipients", vec![self.keys.recipients(), self.keys.indexes()]),
            ("presences", vec![self.keys.presences()]),
        ];
        for (name, prefixes) in &reads {
            let permissions = prefixes.iter().map(|prefix| Permission::read(prefix.as_str()).with_prefix()).collect();
            self.role(&roles, name, permissions).await?;
        }
        let administration = vec![Permission::read_write(all).with_prefix()];
        self.role(&roles, "administration", administration).await?;
        for (server, service, user) in &users.services {
            let own = format!("presence/{user}");
            let key = Permission::read_write(self.keys.presence(server, *service));
            self.role(&roles, &own, vec![key]).await?;
            let mut granted = vec!["configuration", "recipients", "presences", own.as_str()];
            if *service == Service::Admin {
                granted.push("administration");
            }
            self.user(&known, user, &granted).await?;
        }
        for user in &users.administrators {
            self.user(&known, user, &["administration", "presences"]).await?;
        }
        self.enable(&known, &users.root).await
    }

    fn named(&self, role: &str) -> String {
        format!("{}/{role}", self.forest)
    }

    async fn role(
        &self,
        known: &BTreeSet<String>,
        name: &str,
        permissions: Vec<Permission>,
    ) -> Result<(), Unavailable> {
        let name = self.named(name);
        if !known.contains(&name) {
            let asked = self.members.call(|mut client| {
                let name = name.clone();
                async move { client.role_add(name).await }
            });
            asked.await?;
        }
        for permission in permissions {
            let asked = self.members.call(|mut client| {
                let (name, permission) = (name.clone(), permission.clone());
                async move { client.role_grant_permission(name, permission).await }
            });
            asked.await?;
        }
        Ok(())
    }

    async fn user(&self, known: &BTreeSet<String>, user: &str, roles: &[&str]) -> Result<(), Unavailable> {
        self.add_user(known, user).await?;
        for role in roles {
            self.grant(user, &self.named(role)).await?;
        }
        Ok(())
    }

    /// Without a password: the certificate is what it is known by.
    async fn add_user(&self, known: &BTreeSet<String>, user: &str) -> Result<(), Unavailable> {
        if known.contains(user) {
            return Ok(());
        }
        let asked = self.members.call(|mut client| {
            let user = user.to_owned();
            async move { client.user_add(user, "", Some(UserAddOptions::new().with_no_pwd())).await }
        });
        asked.await.map(drop)
    }

    async fn grant(&self, user: &str, role: &str) -> Result<(), Unavailable> {
        let asked = self.members.call(|mut client| {
            let (user, role) = (user.to_owned(), role.to_owned());
            async move { client.user_grant_role(user, role).await }
        });
        asked.await.map(drop)
    }

    async fn enable(&self, known: &BTreeSet<String>, root: &str) -> Result<(), Unavailable> {
        self.add_user(known, root).await?;
        self.grant(root, "root").await?;
        self.members.call(|mut client| async move { client.auth_enable().await }).await.map(drop)
    }
}

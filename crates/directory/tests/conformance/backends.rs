//! The two backends, and what can happen to them from outside.

use std::sync::Arc;
use std::time::Duration;

use crate::etcd_server::EtcdServer;
use directory::{EmbeddedSettings, EtcdSettings, FOREST_DEFAULT, connect_etcd, open_embedded};

/// Short enough to wait for, long enough for a slow machine's heartbeats.
const LEASE_TTL: Duration = Duration::from_secs(2);

/// A backend and its accidents.
pub(crate) trait Backend: Send + Sync {
    /// A directory with a connection of its own, as another process would have.
    fn directory(&self) -> Arc<dyn directory::Backend>;
    /// Writes past the directory.
    fn write(&self, key: &str, value: &str) -> impl Future<Output = ()> + Send;
    /// Reads past the directory.
    fn read(&self, key: &str) -> impl Future<Output = String> + Send;
    /// Deletes past the directory.
    fn delete(&self, key: &str) -> impl Future<Output = ()> + Send;
    /// Every key that starts so.
    fn keys(&self, prefix: &str) -> impl Future<Output = Vec<String>> + Send;
    /// Forgets history, if there is any.
    fn compact(&self) -> impl Future<Output = ()> + Send;
    /// The backend goes away.
    fn take_away(&mut self);
    /// The backend comes back as it was.
    fn bring_back(&mut self);
    /// The backend comes back from an empty backup.
    fn lose_everything(&mut self);
}

pub(crate) struct Etcd {
    server: EtcdServer,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        Self { server: EtcdServer::start() }
    }

    pub(crate) async fn client(&self) -> etcd_client::Client {
        etcd_client::Client::connect([self.server.endpoint()], None).await.unwrap()
    }
}

impl Backend for Etcd {
    fn directory(&self) -> Arc<dyn directory::Backend> {
        let settings = EtcdSettings { lease_ttl: LEASE_TTL, ..EtcdSettings::new(vec![self.server.endpoint()]) };
        connect_etcd(settings, FOREST_DEFAULT)
    }
    async fn write(&self, key: &str, value: &str) {
        self.client().await.put(key, value, None).await.unwrap();
    }
    async fn read(&self, key: &str) -> String {
        let found = self.client().await.get(key, None).await.unwrap();
        found.kvs()[0].value_str().unwrap().to_owned()
    }
    async fn delete(&self, key: &str) {
        self.client().await.delete(key, None).await.unwrap();
    }
    async fn keys(&self, prefix: &str) -> Vec<String> {
        let options = etcd_client::GetOptions::new().with_prefix().with_keys_only();
        let found = self.client().await.get(prefix, Some(options)).await.unwrap();
        found.kvs().iter().map(|pair| pair.key_str().unwrap().to_owned()).collect()
    }
    async fn compact(&self) {
        let mut client = self.client().await;
        let now = client.get("x", None).await.unwrap().header().unwrap().revision();
        let physical = etcd_client::CompactionOptions::new().with_physical();
        client.compact(now, Some(physical)).await.unwrap();
    }
    fn take_away(&mut self) {
        self.server.kill();
    }
    fn bring_back(&mut self) {
        self.server.restart();
    }
    fn lose_everything(&mut self) {
        self.server.restart_empty();
    }
}

pub(crate) struct Embedded {
    folder: tempfile::TempDir,
}

impl Embedded {
    pub(crate) fn start() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn sql(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.folder.path().join("directory")).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection
    }
}

impl Backend for Embedded {
    fn directory(&self) -> Arc<dyn directory::Backend> {
        let path = self.folder.path().join("directory");
        open_embedded(&EmbeddedSettings { lease_ttl: LEASE_TTL, ..EmbeddedSettings::new(path) }, FOREST_DEFAULT)
            .unwrap()
    }
    async fn write(&self, key: &str, value: &str) {
        let mut sql = self.sql();
        let transaction = sql.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        transaction.execute("UPDATE store SET revision = revision + 1", []).unwrap();
        let put = "INSERT OR REPLACE INTO entry SELECT ?1, CAST(?2 AS BLOB), revision, NULL FROM store";
        transaction.execute(put, [key, value]).unwrap();
        transaction.commit().unwrap();
    }
    async fn read(&self, key: &str) -> String {
        self.sql().query_row("SELECT CAST(value AS TEXT) FROM entry WHERE key = ?1", [key], |row| row.get(0)).unwrap()
    }
    async fn delete(&self, key: &str) {
        let sql = self.sql();
        sql.execute("DELETE FROM entry WHERE key = ?1", [key]).unwrap();
        sql.execute("UPDATE store SET revision = revision + 1", []).unwrap();
    }
    async fn keys(&self, prefix: &str) -> Vec<String> {
        let sql = self.sql();
        let mut select =
            sql.prepare("SELECT key FROM entry WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key").unwrap();
        select.query_map([prefix], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
    async fn compact(&self) {
        let forget = "BEGIN IMMEDIATE; DELETE FROM past; UPDATE store SET oldest = revision; COMMIT";
        self.sql().execute_batch(&format!("{forget}; PRAGMA wal_checkpoint(TRUNCATE); VACUUM;")).unwrap();
    }
    fn take_away(&mut self) {
        self.sql().execute_batch("ALTER TABLE entry RENAME TO away").unwrap();
    }
    fn bring_back(&mut self) {
        self.sql().execute_batch("ALTER TABLE away RENAME TO entry").unwrap();
    }
    fn lose_everything(&mut self) {
        self.sql()
            .execute_batch(
                "BEGIN IMMEDIATE; DELETE FROM entry; DELETE FROM past; DELETE FROM lease;
                 UPDATE store SET revision = 0, oldest = 0; COMMIT",
            )
            .unwrap();
    }
}

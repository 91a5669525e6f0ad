//! Documents in one transactional file.
//!
//! A document is JSON under a kind and an id. Writes are serialised and
//! synced, so a reader after a kill sees all of a change or nothing of it.

use std::path::Path;

use anyhow::{Context as _, Result};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Answer, ApiFault};

const DOCUMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("documents");

#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
}

/// A kind of document; the key is `kind/id`.
pub(crate) type Kind = &'static str;

fn key(kind: Kind, id: &str) -> String {
    format!("{kind}/{id}")
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let open = || -> Result<Database> {
            let database = Database::create(path)?;
            let transaction = database.begin_write()?;
            transaction.open_table(DOCUMENTS)?;
            transaction.commit()?;
            Ok(database)
        };
        let database = open().with_context(|| {
            format!(
                "open the workspace's state in `{}` (is another process serving this folder?)",
                path.display()
            )
        })?;
        Ok(Self { database })
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, kind: Kind, id: &str) -> Answer<Option<T>> {
        let read = || -> Result<Option<T>> {
            let table = self.database.begin_read()?.open_table(DOCUMENTS)?;
            table.get(key(kind, id).as_str())?.map(|bytes| decode(bytes.value())).transpose()
        };
        read().map_err(ApiFault::from)
    }

    /// Every document of a kind whose id starts with `prefix`, in id order.
    pub(crate) fn list<T: DeserializeOwned>(&self, kind: Kind, prefix: &str) -> Answer<Vec<T>> {
        let read = || -> Result<Vec<T>> {
            let table = self.database.begin_read()?.open_table(DOCUMENTS)?;
            range(&table, kind, prefix)
        };
        read().map_err(ApiFault::from)
    }

    /// Runs `change` in one transaction: all of it is kept, or none.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Answer<T>,
    ) -> Answer<T> {
        let transaction = self
            .database
            .begin_write()
            .map_err(|error| ApiFault::from(anyhow::Error::from(error)))?;
        let result = {
            let table = transaction
                .open_table(DOCUMENTS)
                .map_err(|error| ApiFault::from(anyhow::Error::from(error)))?;
            change(&mut Transaction { table })
        };
        match result {
            Ok(value) => {
                transaction.commit().map_err(|error| ApiFault::from(anyhow::Error::from(error)))?;
                Ok(value)
            }
            Err(fault) => {
                // Dropping the transaction would do; this says so.
                transaction.abort().map_err(|error| ApiFault::from(anyhow::Error::from(error)))?;
                Err(fault)
            }
        }
    }

    pub(crate) fn put<T: Serialize>(&self, kind: Kind, id: &str, value: &T) -> Answer<()> {
        self.write(|transaction| transaction.put(kind, id, value))
    }
}

pub(crate) struct Transaction<'t> {
    table: redb::Table<'t, &'static str, &'static [u8]>,
}

impl Transaction<'_> {
    pub(crate) fn get<T: DeserializeOwned>(&self, kind: Kind, id: &str) -> Answer<Option<T>> {
        let read = || -> Result<Option<T>> {
            self.table.get(key(kind, id).as_str())?.map(|bytes| decode(bytes.value())).transpose()
        };
        read().map_err(ApiFault::from)
    }

    pub(crate) fn list<T: DeserializeOwned>(&self, kind: Kind, prefix: &str) -> Answer<Vec<T>> {
        range(&self.table, kind, prefix).map_err(ApiFault::from)
    }

    pub(crate) fn put<T: Serialize>(&mut self, kind: Kind, id: &str, value: &T) -> Answer<()> {
        let mut write = || -> Result<()> {
            let bytes = serde_json::to_vec(value)?;
            self.table.insert(key(kind, id).as_str(), bytes.as_slice())?;
            Ok(())
        };
        write().map_err(ApiFault::from)
    }

    pub(crate) fn delete(&mut self, kind: Kind, id: &str) -> Answer<bool> {
        let mut remove =
            || -> Result<bool> { Ok(self.table.remove(key(kind, id).as_str())?.is_some()) };
        remove().map_err(ApiFault::from)
    }

    /// The next number of a sequence, from 1.
    pub(crate) fn next(&mut self, sequence: &str) -> Answer<i64> {
        let next = self.get::<i64>("sequence", sequence)?.unwrap_or(0) + 1;
        self.put("sequence", sequence, &next)?;
        Ok(next)
    }
}

fn range<T: DeserializeOwned>(
    table: &impl redb::ReadableTable<&'static str, &'static [u8]>,
    kind: Kind,
    prefix: &str,
) -> Result<Vec<T>> {
    let start = key(kind, prefix);
    let mut found = Vec::new();
    for entry in table.range(start.as_str()..)? {
        let (id, bytes) = entry?;
        if !id.value().starts_with(&start) {
            break;
        }
        found.push(decode(bytes.value())?);
    }
    Ok(found)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).context("read a stored document")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_change_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s.redb")).unwrap();
        store.put("job", "1", &1).unwrap();
        let refused = store.write(|transaction| {
            transaction.put("job", "1", &2)?;
            transaction.put("job", "2", &2)?;
            Err::<(), _>(ApiFault::invalid("no"))
        });
        assert!(refused.is_err());
        assert_eq!(store.list::<i64>("job", "").unwrap(), [1]);
    }

    #[test]
    fn a_list_ends_where_its_prefix_does() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s.redb")).unwrap();
        for id in ["a.b", "a.c", "ab", "b"] {
            store.put("table", id, &id).unwrap();
        }
        store.put("tablet", "a.z", &"other kind").unwrap();
        assert_eq!(store.list::<String>("table", "a.").unwrap(), ["a.b", "a.c"]);
        assert_eq!(store.list::<String>("table", "").unwrap().len(), 4);
    }

    #[test]
    fn a_folder_is_served_by_one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.redb");
        let _held = Store::open(&path).unwrap();
        assert!(format!("{:#}", Store::open(&path).unwrap_err()).contains("another process"));
    }
}

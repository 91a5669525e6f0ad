//! Unity Catalog: catalogs, schemas, tables, volumes, models, aliases.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, Error};
use crate::names::{Alias, ModelName, ModelVersion, TableName};
use crate::sys::https::segment;
use crate::sys::retry::Class;

#[derive(Debug, Clone, Deserialize)]
pub struct AliasInfo {
    pub alias_name: String,
    pub version_num: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct RegisteredModel {
    #[serde(default)]
    pub full_name: String,
    pub comment: Option<String>,
    pub owner: Option<String>,
    #[serde(default)]
    pub aliases: Vec<AliasInfo>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ModelVersionInfo {
    pub version: u64,
    #[serde(default)]
    pub status: String,
    pub run_id: Option<String>,
    pub source: Option<String>,
    #[serde(default)]
    pub created_at: i64,
    pub created_by: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TableInfo {
    pub full_name: String,
    #[serde(default)]
    pub columns: Vec<ColumnInfo>,
    pub storage_location: Option<String>,
    #[serde(default)]
    pub table_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ColumnInfo {
    pub name: String,
    #[serde(default)]
    pub type_text: String,
}

/// The kinds of securables that a bundle manages by full name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Securable {
    Catalog,
    Schema,
    Volume,
    Model,
}

impl Securable {
    fn collection(self) -> &'static str {
        match self {
            Self::Catalog => "/api/2.1/unity-catalog/catalogs",
            Self::Schema => "/api/2.1/unity-catalog/schemas",
            Self::Volume => "/api/2.1/unity-catalog/volumes",
            Self::Model => "/api/2.1/unity-catalog/models",
        }
    }

    fn object(self, full_name: &str) -> String {
        format!("{}/{}", self.collection(), segment(full_name))
    }
}

impl Client {
    pub async fn securable_get(
        &self,
        kind: Securable,
        full_name: &str,
    ) -> Result<Option<Value>, Error> {
        found(self.http.get(kind.object(full_name)).read().await)
    }

    pub async fn securable_create(&self, kind: Securable, fields: &Value) -> Result<Value, Error> {
        self.http.call(Method::POST, kind.collection(), Class::Unkeyed).json(fields)?.read().await
    }

    pub async fn securable_update(
        &self,
        kind: Securable,
        full_name: &str,
        fields: &Value,
    ) -> Result<(), Error> {
        self.http
            .call(Method::PATCH, kind.object(full_name), Class::Idempotent)
            .json(fields)?
            .done()
            .await
    }

    /// `force` takes what is below it, too.
    pub async fn securable_delete(
        &self,
        kind: Securable,
        full_name: &str,
        force: bool,
    ) -> Result<(), Error> {
        let call = self.http.call(Method::DELETE, kind.object(full_name), Class::Idempotent);
        let call = if force { call.query("force", true) } else { call };
        match call.done().await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// What the caller may do with a securable, whoever granted it where. An
    /// owner's rights are not among them.
    pub async fn effective_privileges(
        &self,
        kind: &str,
        full_name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            privilege_assignments: Vec<Assignment>,
        }
        #[derive(Deserialize)]
        struct Assignment {
            #[serde(default)]
            privileges: Vec<Privilege>,
        }
        #[derive(Deserialize)]
        struct Privilege {
            privilege: String,
        }
        let me = self.me().await?;
        let name = segment(full_name);
        let route = format!("/api/2.1/unity-catalog/effective-permissions/{kind}/{name}");
        let answer: Answer = self.http.get(route).query("principal", me.user_name).read().await?;
        let all = answer.privilege_assignments.into_iter().flat_map(|one| one.privileges);
        Ok(all.map(|held| held.privilege).collect())
    }

    pub async fn table_get(&self, table: &TableName) -> Result<Option<TableInfo>, Error> {
        let route = format!("/api/2.1/unity-catalog/tables/{}", segment(&table.to_string()));
        found(self.http.get(route).read().await)
    }

    /// The tags of a column, as `key` or `key=value`.
    pub async fn column_tags(
        &self,
        table: &TableName,
        column: &str,
    ) -> Result<BTreeSet<String>, Error> {
        #[derive(Deserialize)]
        struct Assigned {
            tag_key: String,
            #[serde(default)]
            tag_value: Option<String>,
        }
        let name = segment(&format!("{table}.{column}"));
        let route = format!("/api/2.1/unity-catalog/entity-tag-assignments/columns/{name}/tags");
        let assigned: Vec<Assigned> = self.http.get(route).read_all("tag_assignments").await?;
        let told = assigned.into_iter().map(|Assigned { tag_key, tag_value }| {
            match tag_value.filter(|value| !value.is_empty()) {
                Some(value) => format!("{tag_key}={value}"),
                None => tag_key,
            }
        });
        Ok(told.collect())
    }

    pub async fn model_get(&self, model: &ModelName) -> Result<Option<RegisteredModel>, Error> {
        let call = self.http.get(Securable::Model.object(&model.to_string()));
        found(call.query("include_aliases", true).read().await)
    }

    pub async fn model_version_get(
        &self,
        model: &ModelName,
        version: ModelVersion,
    ) -> Result<Option<ModelVersionInfo>, Error> {
        let route = format!("{}/versions/{version}", Securable::Model.object(&model.to_string()));
        found(self.http.get(route).read().await)
    }

    pub async fn model_versions(&self, model: &ModelName) -> Result<Vec<ModelVersionInfo>, Error> {
        let route = format!("{}/versions", Securable::Model.object(&model.to_string()));
        self.http.get(route).read_all("model_versions").await
    }

    /// The version that an alias points to, if the alias is set.
    pub async fn alias_get(
        &self,
        model: &ModelName,
        alias: &Alias,
    ) -> Result<Option<ModelVersion>, Error> {
        let route = format!("{}/aliases/{alias}", Securable::Model.object(&model.to_string()));
        let info: Option<ModelVersionInfo> = found(self.http.get(route).read().await)?;
        Ok(info.map(|info| ModelVersion(info.version)))
    }

    pub async fn alias_set(
        &self,
        model: &ModelName,
        alias: &Alias,
        version: ModelVersion,
    ) -> Result<(), Error> {
        let route = format!("{}/aliases/{alias}", Securable::Model.object(&model.to_string()));
        let call = self.http.call(Method::PUT, route, Class::Idempotent);
        call.json(&json!({ "version_num": version.0 }))?.done().await
    }

    pub async fn alias_delete(&self, model: &ModelName, alias: &Alias) -> Result<(), Error> {
        let route = format!("{}/aliases/{alias}", Securable::Model.object(&model.to_string()));
        self.http.call(Method::DELETE, route, Class::Idempotent).done().await
    }
}

fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

//! From a name to rows that can be read, and what tells their state.

use anyhow::Result;

use super::{Grouping, Lake, Side, table};
use crate::config::Sample;
use crate::names::{Place, Source};
use crate::step::Ctx;

/// Rows with their name for the record, the version included.
#[derive(Debug)]
pub struct Opened {
    pub side: Side,
    pub identity: String,
    /// Which of the rows count, where that is decided here.
    pub grouping: Grouping,
    /// Where the warehouse decides which rows there are.
    pub table: Option<Versioned>,
    /// The version of a Delta table.
    pub version: Option<u64>,
}

/// A table of a warehouse at one version.
#[derive(Debug, Clone, Default)]
pub struct Versioned {
    /// Quoted, with its version.
    pub name: String,
    pub sample: Option<Sample>,
    pub filter: Option<String>,
}

impl Versioned {
    /// As it stands in a FROM clause; the condition is not in it.
    pub fn relation(&self) -> String {
        format!("{}{}", self.name, self.sample.map(sampled).unwrap_or_default())
    }

    /// The condition as it stands behind that, or nothing.
    pub fn condition(&self) -> String {
        self.filter.as_ref().map(|filter| format!(" WHERE ({filter})")).unwrap_or_default()
    }

    /// The same with a share of these rows: the same ones each time.
    pub fn part(&self, share: f64) -> String {
        let Sample { share: of, seed } = self.sample.unwrap_or(Sample { share: 1.0, seed: 0 });
        format!("{}{}", self.name, sampled(Sample { share: share * of, seed }))
    }
}

/// Which rows are opened, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    pub filter: Option<&'a str>,
    pub sample: Option<Sample>,
    /// Whether tables are read from their own files, without a warehouse.
    pub from_storage: bool,
}

/// Opens files, or a table at one version.
///
/// # Errors
/// When it does not exist, has no such version, or needs a warehouse that is
/// not configured.
pub async fn open(ctx: &Ctx, source: &Source, asked: Asked<'_>) -> Result<Opened> {
    let Asked { filter, sample, from_storage } = asked;
    let mut condition = filter.map(|filter| format!(" where {filter}")).unwrap_or_default();
    if let Some(Sample { share, seed }) = sample {
        condition.push_str(&format!(", {} % of the rows by seed {seed}", share * 100.0));
    }
    // Rows that are read here are drawn and told apart here.
    let here = |side: Side, identity| {
        let filter = filter.map(str::parse).transpose()?;
        let grouping = Grouping { sample, filter, ..Grouping::default() };
        let version = side.version();
        Ok(Opened { side, identity, grouping, table: None, version })
    };
    match &source.place {
        Place::Files(path) => {
            let side = Side::files(path, source.as_of)?;
            let version = side.version().map(|version| format!("@v{version}"));
            here(side, format!("{path}{}{condition}", version.unwrap_or_default()))
        }
        Place::Table(name) if from_storage => {
            let info = table(&ctx.client, name).await?;
            let endpoint = ctx.env.get("AZURE_STORAGE_ENDPOINT");
            let side = Side::stored(&ctx.client, name, &info, source.as_of, endpoint).await?;
            let version = side.version().unwrap_or_default();
            here(side, format!("{name} version {version}{condition}"))
        }
        Place::Table(name) => {
            let lake: Lake<'_> = ctx.lake()?;
            let info = table(&ctx.client, name).await?;
            let version = lake.version(name, source.as_of).await?;
            let table = Versioned {
                name: format!("{} VERSION AS OF {version}", name.quoted()),
                sample,
                filter: filter.map(str::to_owned),
            };
            Ok(Opened {
                side: Side::table(&info, table.relation(), filter),
                identity: format!("{name} version {version}{condition}"),
                grouping: Grouping::default(),
                table: Some(table),
                version: Some(version),
            })
        }
    }
}

/// As a warehouse draws rows.
fn sampled(Sample { share, seed }: Sample) -> String {
    format!(" TABLESAMPLE ({} PERCENT) REPEATABLE ({seed})", share * 100.0)
}

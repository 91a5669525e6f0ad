//! Columns that stand in the paths of files, `month=2026-01/part-0.parquet`, as
//! Hive and Spark write them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{
    Array as _, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use percent_encoding::percent_decode_str;

use crate::report::Fault;

/// How a null is written in a path.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns and each file's values of them.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    fields: Vec<Field>,
    /// By file and column; arrays of one value.
    values: Vec<Vec<ArrayRef>>,
}

/// A column's values, file by file.
type Texts = Vec<Option<String>>;

impl Partitions {
    /// What the folders between `root` and each file say; columns that the files
    /// hold themselves are left to them.
    ///
    /// # Errors
    /// When not all files lie in folders of the same columns.
    pub(super) fn of(root: &Path, files: &[PathBuf], held: &Schema) -> Result<Self, Fault> {
        let pairs: Vec<Vec<(String, Option<String>)>> =
            files.iter().map(|file| pairs(root, file)).collect();
        let names = |at: usize| pairs[at].iter().map(|(name, _)| name.as_str());
        if let Some(at) = (1..files.len()).find(|at| !names(*at).eq(names(0))) {
            let (one, other) = (files[at].display(), files[0].display());
            return Err(Fault::usage(format!(
                "`{one}` lies in other partitions than `{other}`: their folders name other columns"
            )));
        }
        let mut found = Self { fields: Vec::new(), values: vec![Vec::new(); files.len()] };
        let count = pairs.first().map_or(0, Vec::len);
        for at in 0..count {
            let name = &pairs[0][at].0;
            if held.field_with_name(name).is_ok() {
                continue;
            }
            let texts: Texts = pairs.iter().map(|pairs| pairs[at].1.clone()).collect();
            found.add(name, texts);
        }
        Ok(found)
    }

    /// Adds a column: whole numbers where all of its values are.
    fn add(&mut self, name: &str, texts: Texts) {
        // A number with leading zeros is a name that looks like one.
        let whole =
            |text: &String| text.parse().ok().filter(|number: &i64| number.to_string() == *text);
        let numbers: Option<Vec<Option<i64>>> = texts
            .iter()
            .map(|text| text.as_ref().map_or(Some(None), |text| whole(text).map(Some)))
            .collect();
        let is_known = texts.iter().any(Option::is_some);
        let (kind, values): (DataType, Vec<ArrayRef>) = match numbers.filter(|_| is_known) {
            Some(numbers) => {
                let one = |number| Arc::new(Int64Array::from(vec![number])) as ArrayRef;
                (DataType::Int64, numbers.into_iter().map(one).collect())
            }
            None => {
                let one = |text| Arc::new(StringArray::from(vec![text])) as ArrayRef;
                (DataType::Utf8, texts.into_iter().map(one).collect())
            }
        };
        self.fields.push(Field::new(name, kind, true));
        for (file, value) in self.values.iter_mut().zip(values) {
            file.push(value);
        }
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name() == name)
    }

    /// A file's value of a column, so many times.
    pub(super) fn repeated(&self, file: usize, name: &str, rows: usize) -> Result<ArrayRef> {
        let at = self.fields.iter().position(|field| field.name() == name);
        let value = at.and_then(|at| self.values.get(file)?.get(at));
        let value = value.ok_or_else(|| anyhow::anyhow!("no file has a partition `{name}`"))?;
        debug_assert_eq!(value.len(), 1);
        Ok(take(value, &UInt32Array::from(vec![0; rows]), None)?)
    }

    /// A file's rows with those of its partitions that are asked for.
    pub(super) fn extend(
        &self,
        file: usize,
        batch: RecordBatch,
        names: &[String],
    ) -> Result<RecordBatch> {
        let asked: Vec<&Field> =
            self.fields.iter().filter(|field| names.contains(field.name())).collect();
        if asked.is_empty() {
            return Ok(batch);
        }
        let rows = batch.num_rows();
        let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
        let mut columns = batch.columns().to_vec();
        for field in asked {
            fields.push(Arc::new(field.clone()));
            columns.push(self.repeated(file, field.name(), rows)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }

    /// What is said of a file, for its digest.
    pub(super) fn told(&self, file: usize) -> String {
        let value = |(field, value): (&Field, &ArrayRef)| {
            let text = arrow::util::display::array_value_to_string(value, 0);
            format!("{}={}/", field.name(), text.unwrap_or_default())
        };
        let values = self.values.get(file).map(Vec::as_slice).unwrap_or_default();
        self.fields.iter().zip(values).map(value).collect()
    }
}

/// The names and values in a file's folders, from the outer to the inner.
fn pairs(root: &Path, file: &Path) -> Vec<(String, Option<String>)> {
    let below = file.strip_prefix(root).unwrap_or(file);
    let folders = below.parent().into_iter().flat_map(Path::components);
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    folders
        .filter_map(|folder| {
            let (name, value) = folder.as_os_str().to_str()?.split_once('=')?;
            Some((plain(name), Some(plain(value)).filter(|value| value != NULL)))
        })
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str], held: &[&str]) -> Result<Partitions, Fault> {
        let files: Vec<PathBuf> = paths.iter().map(|path| Path::new("data").join(path)).collect();
        let held: Vec<Field> =
            held.iter().map(|name| Field::new(*name, DataType::Float64, true)).collect();
        Partitions::of(Path::new("data"), &files, &Schema::new(held))
    }

    #[test]
    fn folders_are_columns_with_the_type_of_their_values() {
        let paths = [
            "year=2026/month=07/at=a%3Ab/x.parquet",
            "year=2025/month=12/at=__HIVE_DEFAULT_PARTITION__/y.parquet",
        ];
        let found = of(&paths, &["x"]).unwrap();
        let kinds: Vec<_> =
            found.fields().iter().map(|field| (field.name().as_str(), field.data_type())).collect();
        assert_eq!(
            kinds,
            [("year", &DataType::Int64), ("month", &DataType::Utf8), ("at", &DataType::Utf8)]
        );
        assert_eq!(found.told(0), "year=2026/month=07/at=a:b/");
        assert_eq!(found.repeated(1, "at", 3).unwrap().null_count(), 3);
        // What the files hold themselves is theirs.
        assert!(!of(&paths, &["month"]).unwrap().has("month"));
        assert!(of(&["x.parquet"], &[]).unwrap().fields().is_empty());
    }

    #[test]
    fn files_of_other_partitions_are_refused() {
        let refused = of(&["year=2026/x.parquet", "month=07/y.parquet"], &[]).unwrap_err();
        assert!(refused.message.contains("other partitions"), "{}", refused.message);
    }
}

//! Tables read from their files, with credentials that the catalog hands out.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::{Served, has_node, modules, root, text, within};

/// A storage account with the files of a folder, below a prefix.
struct Account {
    endpoint: String,
    signature: String,
    child: Child,
}

impl Account {
    fn with(folder: &Path, prefix: &str) -> Self {
        let mut node = Command::new("node");
        node.arg(root().join("tests/node/storage.mjs")).arg(modules()).arg(folder).arg(prefix);
        let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        let (endpoint, signature) = line.trim().split_once(' ').unwrap();
        Self { endpoint: endpoint.into(), signature: signature.into(), child }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// Needs Node for the emulator; without it this is told, and in CI it is a failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_read_from_its_files_without_a_warehouse() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let query = "SELECT value AS id, CAST(value % 7 AS DOUBLE) + MOVED AS x, concat('c', CAST(value % 3 AS STRING)) AS c FROM generate_series(1, 3000)";
    for (name, moved) in [("then", "0"), ("now", "3")] {
        let query = query.replace("MOVED", moved);
        served.sql(&format!("CREATE TABLE main.default.{name} AS {query}")).await;
    }
    served.sql("DELETE FROM main.default.now WHERE id > 2900").await;
    let columns = json!([
        {"name": "id", "type_text": "bigint"}, {"name": "x", "type_text": "double"}, {"name": "c", "type_text": "string"}
    ]);
    let table = "main.default.now".parse().unwrap();
    let place = served.client().table_get(&table).await.unwrap().unwrap().storage_location.unwrap();
    let far = json!({
        "catalog_name": "main", "schema_name": "default", "name": "far", "columns": columns,
        "storage_location": "abfss://lake@devstoreaccount1.dfs.core.windows.net/tables/now",
    });
    served.post("/api/2.1/unity-catalog/tables", &far).await;
    let check = |current: &str, endpoint: Option<&str>| {
        let policy = format!(
            "drift: {{baseline: main.default.then, current: {current}, engine: storage, exclude: [id]}}\n"
        );
        std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
        let mut command = served.command();
        command.env_remove("DATABRICKS_WAREHOUSE_ID").args(["drift-check", "--json"]);
        command.envs(endpoint.map(|endpoint| ("AZURE_STORAGE_ENDPOINT", endpoint)));
        let output = within(Duration::from_secs(120), command.current_dir(dir.path()));
        let said = text(&output.stdout) + &text(&output.stderr);
        let result = dir.path().join(".lakegate/reports/drift-check.result.json");
        let result = std::fs::read_to_string(result).unwrap_or_default();
        let columns = serde_json::from_str::<serde_json::Value>(&result).unwrap_or_default();
        (output.status.code().unwrap(), columns["columns"].clone(), said)
    };
    let (code, near, said) = check("main.default.now", None);
    assert_eq!(code, 1, "{said}");
    assert_eq!(near[0]["current"]["rows"], 2900, "{near}");
    let (code, _, said) = check("main.default.far", None);
    assert!(code != 0 && said.contains("EXTERNAL USE SCHEMA"), "{code} {said}");

    if !has_node("the emulator of Azure storage") {
        return;
    }
    let account = Account::with(Path::new(&place), "tables/now");
    let grant = |token: &str| json!({"url": "abfss://lake@devstoreaccount1", "sas_token": token});
    served.post("/__lakegate/storage", &grant(&account.signature)).await;
    let (code, far, said) = check("main.default.far", Some(&account.endpoint));
    assert_eq!(code, 1, "{said}");
    assert_eq!(near, far);
    let (_, sig) = account.signature.split_once("sig=").unwrap();
    assert!(!said.contains(sig), "{said}");
    let forged = account.signature.replace("sig=", "sig=x");
    served.post("/__lakegate/storage", &grant(&forged)).await;
    let (code, _, said) = check("main.default.far", Some(&account.endpoint));
    assert!(code != 0 && code != 1 && !said.contains(sig), "{code} {said}");
}

//! The files of a commit, from git's own objects.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::Git;

/// What a name in a tree stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    File,
    Executable,
    Link,
    /// Another repository's commit.
    Submodule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the folder that was asked about. May not be text.
    pub path: Vec<u8>,
    pub object: Object,
    pub id: String,
}

impl Git<'_> {
    /// Every file of a commit below the folder.
    pub async fn files(&self, commit: &str) -> Result<Vec<Entry>> {
        let tree = if self.folder.is_empty() {
            commit.to_owned()
        } else {
            format!("{commit}:{}", self.folder)
        };
        let told = self.bytes(&["ls-tree", "-r", "-z", "--full-tree", &tree]).await?;
        let lines = told.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        lines.map(entry).collect()
    }

    /// Hands the content of each object to `each`, in order.
    pub async fn contents(
        &self,
        ids: &[&str],
        mut each: impl FnMut(usize, Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let mut child = self
            .command()
            .args(["cat-file", "--batch", "--buffer"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .context("start git")?;
        let mut input = child.stdin.take().context("write to git")?;
        let wanted: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let asking = async move {
            input.write_all(wanted.as_bytes()).await?;
            input.shutdown().await
        };
        let mut output =
            BufReader::with_capacity(1 << 20, child.stdout.take().context("read git")?);
        let reading = async {
            let mut line = String::new();
            for (at, id) in ids.iter().enumerate() {
                line.clear();
                output.read_line(&mut line).await.context("read git's objects")?;
                let size = line.trim_end().strip_prefix(&format!("{id} blob "));
                let size: usize = size
                    .and_then(|size| size.parse().ok())
                    .with_context(|| format!("git has no file {id}: {}", line.trim_end()))?;
                let mut bytes = vec![0; size];
                output.read_exact(&mut bytes).await.context("read git's objects")?;
                ensure!(output.read_u8().await? == b'\n', "git's answer about {id} has no end");
                each(at, bytes)?;
            }
            Ok(())
        };
        let (asked, read) = tokio::join!(asking, reading);
        read?;
        asked.context("ask git for objects")?;
        ensure!(child.wait().await?.success(), "git cat-file failed");
        Ok(())
    }
}

impl Git<'_> {
    /// The text files of a commit whose path is wanted; what is no text is left out.
    pub async fn texts(
        &self,
        commit: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, String>> {
        let chosen: Vec<(String, String)> = self
            .files(commit)
            .await?
            .into_iter()
            .filter(|entry| matches!(entry.object, Object::File | Object::Executable))
            .filter_map(|entry| Some((String::from_utf8(entry.path).ok()?, entry.id)))
            .filter(|(path, _)| wanted(path))
            .collect();
        let ids: Vec<&str> = chosen.iter().map(|(_, id)| id.as_str()).collect();
        let mut found = BTreeMap::new();
        self.contents(&ids, |at, bytes| {
            if let Ok(text) = String::from_utf8(bytes) {
                found.insert(chosen[at].0.clone(), text);
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }
}

fn entry(line: &[u8]) -> Result<Entry> {
    let parse = || {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let head = std::str::from_utf8(&line[..tab]).ok()?;
        let mut parts = head.split(' ');
        let object = match parts.next()? {
            "100644" | "100664" => Object::File,
            "100755" => Object::Executable,
            "120000" => Object::Link,
            "160000" => Object::Submodule,
            _ => return None,
        };
        let id = parts.nth(1)?.to_owned();
        Some(Entry { path: line[tab + 1..].to_vec(), object, id })
    };
    parse().with_context(|| format!("understand git's `{}`", String::from_utf8_lossy(line)))
}

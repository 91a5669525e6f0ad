//! Folders that are built once and kept for whoever asks next: Python
//! environments, unpacked wheels.
//!
//! Several processes of one machine share them, and any of them may be killed
//! while an installer that it started goes on. So a folder is built under a lock
//! that its holder's death frees, at a name that nothing else ever writes to, and
//! is only known once it is whole.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::fs;

/// Holds the name of the folder that is whole; written last.
const BUILT: &str = "built";
const LOCK: &str = "lock";

/// The folder that `build` fills, below `place`; one that is there already is kept.
///
/// # Errors
/// Those of `build`: nothing is kept then, and the next call builds anew.
pub async fn once(place: &Path, build: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = &made(place)?;
    // Whoever finds it whole needs no lock.
    if let Some(whole) = whole(place)? {
        return Ok(whole);
    }
    let _turn = turn(place).await?;
    match whole(place)? {
        Some(whole) => Ok(whole),
        None => fill(place, build).await,
    }
}

/// As [`once`], but what is there already is built again, and goes: what it was built
/// from may say something else by now. Two that use one place at the same time must
/// not call this.
///
/// # Errors
/// Those of `build`; what was there before is kept then.
pub async fn again(place: &Path, build: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = &made(place)?;
    let _turn = turn(place).await?;
    fill(place, build).await
}

/// Programs that are started elsewhere find it by its whole path.
fn made(place: &Path) -> Result<PathBuf> {
    fs::create_dir_all(place)?;
    fs::canonicalize(place)
}

fn whole(place: &Path) -> Result<Option<PathBuf>> {
    let name = fs::read_text_if_exists(place.join(BUILT))?;
    Ok(name.map(|name| place.join(name)).filter(|folder| folder.is_dir()))
}

async fn fill(place: &Path, build: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = fs::unused_folder(place, "of-")?;
    build(folder.path()).await?;
    let folder = folder.keep();
    let name = folder.file_name().context("a folder has a name")?.to_string_lossy().into_owned();
    fs::write_atomic(place.join(BUILT), &name)?;
    for (other, ..) in fs::entries(place)?.unwrap_or_default() {
        if other != name && other != BUILT && other != LOCK {
            // An installer that outlived its parent may write there still: what it
            // leaves is never looked at.
            let _left = fs::remove(place.join(other));
        }
    }
    Ok(folder)
}

/// Waits for the lock of `place`. Asks now and then: a thread that waits in the
/// kernel would keep a process from ending.
async fn turn(place: &Path) -> Result<File> {
    let path = place.join(LOCK);
    let file = fs::create(&path)?;
    let mut is_told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::info!(place = %place.display(), "another process is building this");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| {
                    format!(
                        "lock `{}` (LAKEGATE_CACHE may name a folder that has locks)",
                        path.display()
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_folder_is_built_once_however_many_ask_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let built = AtomicUsize::new(0);
        let ask = || {
            once(dir.path(), async |folder: &Path| {
                built.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
                fs::write_atomic(folder.join("a"), "1")
            })
        };
        let (one, two, three) = tokio::join!(ask(), ask(), ask());
        let one = one.unwrap();
        assert_eq!([&two.unwrap(), &three.unwrap()], [&one, &one]);
        assert_eq!((built.into_inner(), fs::read_text(one.join("a")).unwrap()), (1, "1".into()));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn others_may_read_what_one_user_built() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let folder = once(dir.path(), async |_: &Path| Ok(())).await.unwrap();
        fs::create_dir_all(dir.path().join("plain")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&folder), mode(&dir.path().join("plain")));
    }

    #[tokio::test]
    async fn what_failed_is_built_anew_and_what_others_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let failed = once(dir.path(), async |_: &Path| anyhow::bail!("no network")).await;
        assert_eq!(failed.unwrap_err().to_string(), "no network");
        // A build that was killed, and the layout of an older Lakegate.
        fs::create_dir_all(dir.path().join("of-dead/lib")).unwrap();
        fs::write_atomic(dir.path().join("bin/python"), "").unwrap();
        let folder = once(dir.path(), async |_: &Path| Ok(())).await.unwrap();
        let mut left = fs::entries(dir.path()).unwrap().unwrap();
        left.retain(|(_, is_folder, _)| *is_folder);
        assert_eq!(left.len(), 1, "{left:?}");
        let anew = again(dir.path(), async |_: &Path| Ok(())).await.unwrap();
        assert!(anew != folder && anew.is_dir() && !folder.exists());
        let failed = again(dir.path(), async |_: &Path| anyhow::bail!("no")).await;
        assert!(failed.is_err());
        assert_eq!(once(dir.path(), async |_: &Path| Ok(())).await.unwrap(), anew);
    }
}

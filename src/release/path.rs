//! Which paths a release may hold: those that mean the same on every system.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization as _;

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("`{0}`: the name is not UTF-8")]
    NotUtf8(String),
    #[error("the name is empty")]
    Empty,
    #[error("`{0}`: the path is absolute")]
    Absolute(String),
    #[error("`{0}`: the path leaves its folder or has an empty part")]
    Dots(String),
    #[error("`{0}`: a backslash is a separator on Windows")]
    Backslash(String),
    #[error("`{0}`: a colon is a drive or a stream on Windows")]
    Colon(String),
    #[error("`{0}`: the name holds control characters")]
    Control(String),
    #[error("`{0}`: Windows has no such name")]
    Reserved(String),
    #[error("`{0}`: the path is longer than 255 bytes")]
    TooLong(String),
    #[error("`{0}` is there twice")]
    Twice(String),
    #[error("`{0}` and `{1}` are one file where case or composed characters do not count")]
    Clash(String, String),
    #[error("`{0}` is a file and the folder of `{1}`")]
    FileAndFolder(String, String),
}

impl PathError {
    /// The name of a path that may not be text, for people.
    fn shown(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).escape_debug().to_string()
    }
}

/// What a Windows machine takes for a device.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A relative path with slashes, without anything that some system would read
/// in another way.
///
/// # Errors
/// The first reason against it.
pub fn check(bytes: &[u8]) -> Result<&str, PathError> {
    let shown = || PathError::shown(bytes);
    let path = std::str::from_utf8(bytes).map_err(|error| {
        debug_assert!(error.valid_up_to() <= bytes.len());
        PathError::NotUtf8(shown())
    })?;
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Control(shown()));
    }
    if path.contains('\\') {
        return Err(PathError::Backslash(shown()));
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute(shown()));
    }
    if path.contains(':') {
        return Err(PathError::Colon(shown()));
    }
    for part in path.split('/') {
        if matches!(part, "" | "." | "..") {
            return Err(PathError::Dots(shown()));
        }
        let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_lowercase();
        let numbered = stem.strip_prefix("com").or(stem.strip_prefix("lpt"));
        let is_port = numbered.is_some_and(|rest| matches!(rest.as_bytes(), [b'1'..=b'9']));
        if DEVICES.contains(&stem.as_str()) || is_port || part.ends_with(['.', ' ']) {
            return Err(PathError::Reserved(shown()));
        }
    }
    if path.len() > 255 {
        return Err(PathError::TooLong(shown()));
    }
    Ok(path)
}

/// Paths that were seen, as a file system without case would know them.
#[derive(Debug, Clone, Default)]
pub struct Seen(BTreeMap<String, String>);

impl Seen {
    /// # Errors
    /// When the path, or another spelling of it, was there already, or when a
    /// file would have to be a folder, too.
    pub fn add(&mut self, path: &str) -> Result<(), PathError> {
        let folded = fold(path);
        if let Some(known) = self.0.get(&folded) {
            return Err(if known == path {
                PathError::Twice(path.to_owned())
            } else {
                PathError::Clash(known.clone(), path.to_owned())
            });
        }
        let mut parent = folded.as_str();
        while let Some((above, _)) = parent.rsplit_once('/') {
            if let Some(file) = self.0.get(above) {
                return Err(PathError::FileAndFolder(file.clone(), path.to_owned()));
            }
            parent = above;
        }
        let below = format!("{folded}/");
        if let Some((_, file)) = self.0.range(below.clone()..).next()
            && fold(file).starts_with(&below)
        {
            return Err(PathError::FileAndFolder(path.to_owned(), file.clone()));
        }
        self.0.insert(folded, path.to_owned());
        Ok(())
    }
}

fn fold(path: &str) -> String {
    path.nfc().flat_map(char::to_lowercase).collect::<String>().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_system_reads_in_another_way_is_refused() {
        for good in ["a", "src/flights/model.py", "dist/a-1.0-py3-none-any.whl", "ünïcode/名前"]
        {
            assert_eq!(check(good.as_bytes()), Ok(good));
        }
        for (bad, words) in [
            (&b""[..], "empty"),
            (b"/etc/passwd", "absolute"),
            (b"../x", "leaves"),
            (b"a/../b", "leaves"),
            (b"./a", "leaves"),
            (b"a//b", "empty part"),
            (b"a/", "empty part"),
            (b"a\\b", "backslash"),
            (b"C:/a", "colon"),
            (b"a:stream", "colon"),
            (b"a\nb", "control"),
            (b"a\0b", "control"),
            (b"a\xffb", "UTF-8"),
            (b"aux.txt", "Windows"),
            (b"a/COM1", "Windows"),
            (b"a. ", "Windows"),
        ] {
            let told = check(bad).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        }
        assert!(check("x/".repeat(200).trim_end_matches('/').as_bytes()).is_err());
    }

    #[test]
    fn two_spellings_of_one_file_clash() {
        let mut seen = Seen::default();
        seen.add("src/Model.py").unwrap();
        seen.add("src/\u{e9}").unwrap();
        assert!(matches!(seen.add("src/Model.py"), Err(PathError::Twice(_))));
        assert!(matches!(seen.add("SRC/model.py"), Err(PathError::Clash(..))));
        assert!(matches!(seen.add("src/e\u{301}"), Err(PathError::Clash(..))));
        assert!(matches!(seen.add("src"), Err(PathError::FileAndFolder(..))));
        assert!(matches!(seen.add("src/model.py/x"), Err(PathError::FileAndFolder(..))));
        seen.add("src2").unwrap();
    }
}

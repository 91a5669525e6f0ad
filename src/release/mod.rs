//! A release: what it is called, what is in it, and how that is proved.
//!
//! Pure: the caller asks git and reads the files. An archive holds the bytes of
//! a commit and the wheels built from them; `manifest.json` lists every one
//! with its digest, and nothing that the manifest does not list is believed.

pub mod archive;
pub mod lock;
pub mod manifest;
pub mod notes;
pub mod path;
pub mod provenance;
pub mod version;

pub use archive::Refusal;
pub use lock::Package;
pub use manifest::{FileEntry, Manifest};
pub use path::PathError;
pub use version::{Change, Commit, Level};

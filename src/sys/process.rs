//! Child processes: an allow-listed environment and a process group of their own.
#![expect(clippy::disallowed_methods, reason = "this module is what the others call instead")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Env, https};

/// What a child may inherit. Everything else (tokens, `LD_PRELOAD`,
/// `PYTHONPATH`, `BASH_ENV`, `GIT_*`) stays here unless it is given by name.
const INHERITED: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SystemRoot",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
];

/// Prefixes of package installers' own settings: indexes, mirrors, caches. They
/// may hold the password of an index, so that no other child gets them.
const INSTALLERS: [&str; 2] = ["PIP_", "UV_"];

/// Only an installer signs in to a proxy: other children may be anybody's code.
const PROXIES: [&str; 2] = ["HTTPS_PROXY", "HTTP_PROXY"];

/// A command with a clean environment, in a process group of its own, so that
/// it can be ended together with everything it started.
pub fn command(program: impl AsRef<OsStr>, env: &Env) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    let inherited = env.iter().filter(|(name, _)| INHERITED.contains(name));
    command.envs(inherited.map(|(name, value)| match PROXIES.contains(&name) {
        true => (name, https::without_user(value)),
        false => (name, value.to_owned()),
    }));
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// A command that installs packages, or starts one that does.
pub fn installer(program: impl AsRef<OsStr>, env: &Env) -> Command {
    let mut command = command(program, env);
    let is_setting = |name: &str| {
        PROXIES.contains(&name) || INSTALLERS.iter().any(|prefix| name.starts_with(prefix))
    };
    command.envs(env.iter().filter(|(name, _)| is_setting(name)));
    command
}

/// Keeps this process's memory and environment, which hold tokens, from other
/// processes of the same user: a change's tests are among them.
pub fn keep_private() {
    #[cfg(target_os = "linux")]
    let _not_known_to_every_kernel =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Kills the process group that `pid` leads. A group that has ended is fine.
#[cfg(unix)]
pub fn kill_group(pid: u32) {
    signal_group(pid, rustix::process::Signal::KILL);
}

/// Asks the process group that `pid` leads to end, as Ctrl-C does.
#[cfg(unix)]
pub fn interrupt_group(pid: u32) {
    signal_group(pid, rustix::process::Signal::INT);
}

#[cfg(unix)]
fn signal_group(pid: u32, signal: rustix::process::Signal) {
    let leader = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(leader) = leader {
        let _gone_already = rustix::process::kill_process_group(leader, signal);
    }
}

#[cfg(not(unix))]
pub fn kill_group(_pid: u32) {}

#[cfg(not(unix))]
pub fn interrupt_group(_pid: u32) {}

/// Where `program` is on the `PATH`.
pub fn find(program: &str, env: &Env) -> Option<PathBuf> {
    let path = env.get("PATH")?;
    std::env::split_paths(path)
        .map(|dir| dir.join(program))
        .find(|candidate| is_executable(candidate))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_sees_the_allow_list_and_nothing_else() {
        let env = Env::from([
            ("PATH", "/usr/bin:/bin"),
            ("DATABRICKS_TOKEN", "secret"),
            ("LD_PRELOAD", "/evil.so"),
            ("PYTHONPATH", "/evil"),
            ("PIP_INDEX_URL", "mirror"),
            ("HTTPS_PROXY", "http://user:word@proxy:8080"),
        ]);
        for (mut child, expected) in [
            (command("env", &env), &["HTTPS_PROXY=http://proxy:8080/", "PATH=/usr/bin:/bin"][..]),
            (
                installer("env", &env),
                &[
                    "HTTPS_PROXY=http://user:word@proxy:8080",
                    "PATH=/usr/bin:/bin",
                    "PIP_INDEX_URL=mirror",
                ],
            ),
        ] {
            let output = child.output().await.unwrap();
            let mut seen: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
            seen.sort_unstable();
            assert_eq!(seen, expected);
        }
    }
}

//! A program of the project, run to its end under the eyes of the CI host.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::{Cancel, Ctx};
use crate::sys::process;

/// How a program came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Exit(ExitStatus),
    /// It was asked to end, and killed with everything that it had started.
    TimedOut,
}

/// Who is asked to end gets so long to let go of what it holds, such as a lock.
const GRACE: Duration = Duration::from_secs(5);

/// What a program left running may hold its output open for so long.
const LINGER: Duration = Duration::from_secs(5);

/// Runs a program; what it says is relayed as it comes.
///
/// # Errors
/// When it cannot be started, and when the step is cancelled.
pub async fn follow(ctx: &Ctx, command: &mut Command, limit: Duration) -> Result<Ended> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("start `{program}`"))?;
    let group = child.id();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = (relay(ctx, out), relay(ctx, err));
    let mut reading = tokio::spawn(async move { tokio::join!(out, err) });
    let kill = || group.into_iter().for_each(process::kill_group);
    let ended = tokio::select! {
        status = child.wait() => Ok(Ended::Exit(status.with_context(|| format!("wait for `{program}`"))?)),
        () = tokio::time::sleep(limit) => Ok(Ended::TimedOut),
        () = ctx.cancel.asked() => Err(Cancel::fault(&format!("run `{program}`"))),
    };
    if !matches!(ended, Ok(Ended::Exit(_))) {
        group.into_iter().for_each(process::interrupt_group);
        let _over_or_late = tokio::time::timeout(GRACE, child.wait()).await;
        kill();
    }
    if tokio::time::timeout(LINGER, &mut reading).await.is_err() {
        kill();
        reading.abort();
    }
    Ok(ended?)
}

fn relay<R: AsyncRead + Unpin + Send + 'static>(
    ctx: &Ctx,
    stream: Option<R>,
) -> impl Future<Output = ()> + Send + 'static {
    let mut relay = ctx.host.relay();
    async move {
        let Some(mut stream) = stream else { return };
        let mut chunk = vec![0; 64 * 1024];
        // A stream that breaks off has said what it said.
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            relay.push(&chunk[..count]);
        }
        relay.finish();
    }
}

//! From the process's arguments to its exit code. The only place that prints
//! an error, and the only one that ends the process.

use std::future::Future;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _};

use super::command::{Alone, Cli, Command, Schema, Step};
use super::{blank, exit, manifests, stdout};
use crate::config::{Config, ConfigError};
use crate::host::{Context, Dialect, Host};
use crate::names::meant_variable;
use crate::report::{Fault, Finding, Outcome, Place, Severity};
use crate::step::{self, Cancel, Ctx};
use crate::sys::{Env, fs, process};
use crate::{
    bundle_deploy, doctor, drift_check, job_run, merge_test, model_gate, model_promote,
    model_serve, release_build,
};

/// Runs the suite: `lakegate <command>`.
pub fn main() -> ExitCode {
    let env = Arc::new(Env::capture());
    let command = blank::unset(Cli::command(), &env);
    let parsed = command.try_get_matches().and_then(|found| Cli::from_arg_matches(&found));
    match parsed {
        Ok(cli) => drive(&env, dispatch(cli.command, &env)),
        Err(error) => usage(&env, &error),
    }
}

/// Reads a command line and does nothing: for what tells of command lines.
///
/// # Errors
/// What the command would say of it.
pub fn read(words: &[String]) -> Result<(), String> {
    let read = Cli::command().try_get_matches_from(words).map(|_| ());
    read.map_err(|error| error.to_string())
}

/// Runs one command as a binary of its own, which then holds nothing else.
fn alone<A, R, F>(
    name: &'static str,
    request: impl FnOnce(A, &Config) -> Result<R>,
    feature: impl FnOnce(Ctx, R) -> F,
) -> ExitCode
where
    A: clap::Args,
    R: step::Request,
    F: Future<Output = Result<Outcome>>,
{
    let env = Arc::new(Env::capture());
    let command = blank::unset(Alone::<A>::command().name(name), &env);
    let parsed = command.try_get_matches().and_then(|found| Alone::<A>::from_arg_matches(&found));
    match parsed {
        Ok(alone) => drive(
            &env,
            run(name.trim_start_matches("lakegate-"), alone.step, &env, request, feature),
        ),
        Err(error) => usage(&env, &error),
    }
}

/// The binary `lakegate-bundle-deploy`.
pub fn bundle_deploy() -> ExitCode {
    alone("lakegate-bundle-deploy", bundle_deploy::Args::request, bundle_deploy::run)
}

/// The binary `lakegate-doctor`.
pub fn doctor() -> ExitCode {
    alone("lakegate-doctor", doctor::Args::request, doctor::run)
}

/// The binary `lakegate-drift-check`.
pub fn drift_check() -> ExitCode {
    alone("lakegate-drift-check", drift_check::Args::request, drift_check::run)
}

/// The binary `lakegate-job-run`.
pub fn job_run() -> ExitCode {
    alone("lakegate-job-run", job_run::Args::request, job_run::run)
}

/// The binary `lakegate-model-gate`.
pub fn model_gate() -> ExitCode {
    alone("lakegate-model-gate", model_gate::Args::request, model_gate::run)
}

/// The binary `lakegate-model-promote`.
pub fn model_promote() -> ExitCode {
    alone("lakegate-model-promote", model_promote::Args::request, model_promote::run)
}

/// The binary `lakegate-model-serve`.
pub fn model_serve() -> ExitCode {
    alone("lakegate-model-serve", model_serve::Args::request, model_serve::run)
}

/// The binary `lakegate-merge-test`.
pub fn merge_test() -> ExitCode {
    alone("lakegate-merge-test", merge_test::Args::request, merge_test::run)
}

/// The binary `lakegate-release-build`.
pub fn release_build() -> ExitCode {
    alone("lakegate-release-build", release_build::Args::request, release_build::run)
}

fn usage(env: &Arc<Env>, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that hung up is no reason to fail.
        let _closed = error.print();
        return ExitCode::SUCCESS;
    }
    let host = Host::detect(env.clone(), std::io::stderr());
    if host.dialect() == Dialect::Terminal {
        let _closed = error.print();
    } else {
        // Each line of the error, without its colours, as one annotation.
        let text = error.render().to_string();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let words = lines.collect::<Vec<_>>().join(" · ");
        let words = words.strip_prefix("error: ").unwrap_or(&words);
        host.annotate(&[Finding::new(Severity::Error, "lakegate", words)]);
    }
    ExitCode::from(exit::USAGE)
}

/// A variable that nothing reads does nothing: whoever wrote it means another.
fn tell_slips(env: &Arc<Env>) {
    let slip = |name: &str| {
        let title = format!("nothing reads the variable `{name}`");
        let hint = format!("did you mean `{}`?", meant_variable(name)?);
        Some(Finding::new(Severity::Warning, "lakegate/variable", title).hint(hint))
    };
    let slips: Vec<Finding> = env.iter().filter_map(|(name, _)| slip(name)).collect();
    if !slips.is_empty() {
        Host::detect(env.clone(), std::io::stderr()).annotate(&slips);
    }
}

/// Runs a command to its exit code.
fn drive(env: &Arc<Env>, work: impl Future<Output = u8>) -> ExitCode {
    process::keep_private();
    tell_slips(env);
    let filter = tracing_subscriber::EnvFilter::new(
        env.get("LAKEGATE_LOG").unwrap_or("warn,deltalake_core=error,buoyant_kernel=off"),
    );
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report_error(
                &Host::detect(env.clone(), std::io::stderr()),
                &anyhow::Error::new(error).context("start"),
            );
            return ExitCode::from(exit::REMOTE);
        }
    };
    let code = runtime.block_on(work);
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn dispatch(command: Command, env: &Arc<Env>) -> u8 {
    match command {
        Command::JobRun(step) => {
            run("job-run", step, env, job_run::Args::request, job_run::run).await
        }
        Command::ModelGate(step) => {
            run("model-gate", step, env, model_gate::Args::request, model_gate::run).await
        }
        Command::ModelPromote(step) => {
            run("model-promote", step, env, model_promote::Args::request, model_promote::run).await
        }
        Command::ModelServe(step) => {
            run("model-serve", step, env, model_serve::Args::request, model_serve::run).await
        }
        Command::DriftCheck(step) => {
            run("drift-check", step, env, drift_check::Args::request, drift_check::run).await
        }
        Command::MergeTest(step) => {
            run("merge-test", step, env, merge_test::Args::request, merge_test::run).await
        }
        Command::ReleaseBuild(step) => {
            run("release-build", step, env, release_build::Args::request, release_build::run).await
        }
        Command::BundleDeploy(step) => {
            run("bundle-deploy", step, env, bundle_deploy::Args::request, bundle_deploy::run).await
        }
        Command::Doctor(step) => run("doctor", step, env, doctor::Args::request, doctor::run).await,
        #[cfg(feature = "local")]
        Command::Tour(args) => {
            let host = Host::detect(env.clone(), std::io::stdout());
            settle(&host, tour(args, env, &host).await)
        }
        #[cfg(feature = "local")]
        Command::Init(args) => {
            let host = Host::detect(env.clone(), std::io::stdout());
            let verdict = crate::init::run(&args, env, &host).await;
            settle(&host, verdict.map(|verdict| exit::of_verdict(verdict, exit::FailOn::NotPass)))
        }
        #[cfg(feature = "local")]
        Command::Workspace(workspace) => {
            let host = Host::detect(env.clone(), std::io::stdout());
            settle(&host, workspace.run(env, &host).await)
        }
        Command::Manifests { checkout } => {
            let host = Host::detect(env.clone(), std::io::stderr());
            let written = manifests::write(&checkout);
            settle(&host, written.map(|_| exit::PASS))
        }
        Command::Schema { of } => {
            let host = Host::detect(env.clone(), std::io::stderr());
            let text = match of {
                Schema::Config => Config::schema(),
                Schema::DriftResult => drift_check::Document::schema(),
            };
            settle(&host, stdout::write(&text).map(|()| exit::PASS))
        }
    }
}

#[cfg(feature = "local")]
async fn tour(args: crate::tour::Args, env: &Arc<Env>, host: &Host) -> Result<u8> {
    let (verdict, result) = crate::tour::run(args, env, host).await?;
    if let Some(result) = result {
        stdout::write(&format!("{result}\n"))?;
    }
    Ok(exit::of_verdict(verdict, exit::FailOn::NotPass))
}

fn settle(host: &Host, result: Result<u8>) -> u8 {
    result.unwrap_or_else(|error| {
        report_error(host, &error);
        exit::of_error(&error)
    })
}

/// One step: arguments, request, run, publish.
async fn run<A, R, F>(
    command: &str,
    step: Step<A>,
    env: &Arc<Env>,
    request: impl FnOnce(A, &Config) -> Result<R>,
    feature: impl FnOnce(Ctx, R) -> F,
) -> u8
where
    A: clap::Args,
    R: step::Request,
    F: Future<Output = Result<Outcome>>,
{
    // With --json, standard output holds the JSON and nothing else.
    let host = if step.publishing.json {
        Host::detect(env.clone(), std::io::stderr())
    } else {
        Host::detect(env.clone(), std::io::stdout())
    };
    let colour = host.dialect() == Dialect::Terminal
        && env.get("NO_COLOR").is_none()
        && if step.publishing.json {
            std::io::stderr().is_terminal()
        } else {
            std::io::stdout().is_terminal()
        };
    let cancel = Cancel::on_signals();
    let work = async {
        let asked = step.connection.config(env).and_then(|config| {
            let request = request(step.own, &config)?;
            Ok((config, request))
        });
        // Where it is not known what a step is about, nothing of others is taken away.
        let about = asked.as_ref().ok().and_then(|(_, request)| request.about());
        let stem = super::publish::stem(command, about);
        if !asked.as_ref().is_ok_and(|(_, request)| request.reads_reports()) {
            step.publishing.clear(&stem)?;
        }
        let (config, request) = asked?;
        let context = Context::read(env, event(env).as_ref());
        if context.from_fork && !request.bears_foreign_code() {
            return Err(foreign(command).into());
        }
        let needed = request.needs_workspace();
        let connected = step.connection.connect(&config, env, &host, needed).await?;
        let ctx = Ctx {
            env: env.clone(),
            host: host.clone(),
            context,
            client: connected.client.clone(),
            warehouse: connected.warehouse.clone(),
            cancel,
        };
        let outcome = feature(ctx, request).await;
        connected.close().await;
        step.publishing.publish(&host, &stem, &outcome?, colour)
    };
    settle(&host, work.await)
}

fn foreign(command: &str) -> Fault {
    let message = format!(
        "the code comes from a fork, or was not merged and runs with the rights of what was: {command} does nothing for it"
    );
    Fault::usage(message)
        .hint("merge-test runs static checks and unit tests of such code, without a token")
}

/// The event that started a GitHub workflow.
fn event(env: &Env) -> Option<serde_json::Value> {
    let text = fs::read_text_if_exists(env.get("GITHUB_EVENT_PATH")?).ok()??;
    serde_json::from_str(&text).ok()
}

/// The whole chain once, then what to do next.
fn report_error(host: &Host, error: &anyhow::Error) {
    let mut finding = Finding::new(Severity::Error, "lakegate", format!("{error:#}"));
    finding.hint = step::hint_of(error);
    if let Some(config) = error.chain().find_map(|cause| cause.downcast_ref::<ConfigError>()) {
        finding.place = Some(Place { file: config.file.clone(), line: config.line });
    }
    if host.dialect() == Dialect::Terminal {
        let errors = Host::detect(Arc::new(Env::default()), std::io::stderr());
        errors.say(&format!("error: {}", finding.title));
        if let Some(hint) = &finding.hint {
            errors.say(&format!("help: {hint}"));
        }
    } else {
        host.annotate(&[finding]);
    }
}

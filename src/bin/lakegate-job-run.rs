fn main() -> std::process::ExitCode {
    lakegate::cli::job_run()
}

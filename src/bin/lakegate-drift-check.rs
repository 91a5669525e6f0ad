fn main() -> std::process::ExitCode {
    lakegate::cli::drift_check()
}

fn main() -> std::process::ExitCode {
    lakegate::cli::bundle_deploy()
}

fn main() -> std::process::ExitCode {
    lakegate::cli::doctor()
}

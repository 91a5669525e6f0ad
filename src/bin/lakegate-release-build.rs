fn main() -> std::process::ExitCode {
    lakegate::cli::release_build()
}

fn main() -> std::process::ExitCode {
    lakegate::cli::merge_test()
}

fn main() -> std::process::ExitCode {
    lakegate::cli::model_serve()
}

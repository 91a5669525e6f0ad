fn main() -> std::process::ExitCode {
    lakegate::cli::main(Some("model-promote"))
}

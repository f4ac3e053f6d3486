//! The one program that people install; everything is in the library beside it.

fn main() -> std::process::ExitCode {
    entail_cli::main()
}

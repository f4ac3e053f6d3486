//! `entail bench` executes the program `entail-bench`: with its arguments, and with its exit code.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_entail");

/// A directory with the program, and optionally another program in place of the benchmark.
fn installed(benchmark: Option<&str>) -> TempDir {
    // A hard link must be on the same file system.
    let directory = TempDir::new_in(Path::new(PROGRAM).parent().unwrap()).unwrap();
    fs::hard_link(PROGRAM, directory.path().join("entail")).unwrap();
    if let Some(program) = benchmark {
        symlink(program, directory.path().join("entail-bench")).unwrap();
    }
    directory
}

fn run(directory: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(directory.path().join("entail"));
    for name in ["ENTAIL_SERVER", "ENTAIL_TIMEOUT", "ENTAIL_CONFIG", "ENTAIL_LOG_FORMAT"] {
        command.env_remove(name);
    }
    command.env("PATH", "/nowhere").args(arguments).output().unwrap()
}

#[test]
fn the_benchmark_gets_all_arguments() {
    let directory = installed(Some("/bin/echo"));
    let told = |arguments: &[&str]| String::from_utf8(run(&directory, arguments).stdout).unwrap();
    let server = "--server http://127.0.0.1:7400";
    assert_eq!(told(&["bench", "ask", "Q", "--clients", "2"]), format!("{server} ask Q --clients 2\n"));
    assert_eq!(told(&["bench", "lubm", "-q", "--timeout", "1h"]), format!("{server} lubm -q --timeout 1h\n"));
    let common = format!("{server} --timeout 2000ms --log-format json --quiet");
    assert_eq!(told(&["--timeout", "2s", "-q", "bench", "--log-format", "json", "lubm"]), format!("{common} lubm\n"));
    // `echo` has none of these options.
    for flag in ["--help", "-h", "--runs"] {
        assert_eq!(told(&["bench", flag]), format!("{server} {flag}\n"));
    }
}

#[test]
fn the_exit_code_is_that_of_the_benchmark() {
    assert_eq!(run(&installed(Some("/bin/true")), &["bench", "lubm"]).status.code(), Some(0));
    assert_eq!(run(&installed(Some("/bin/false")), &["bench", "lubm"]).status.code(), Some(1));
}

#[test]
fn a_benchmark_that_is_not_there_can_be_got() {
    let output = run(&installed(None), &["bench", "lubm"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: entail-bench: it is neither beside "), "{said}");
    assert!(said.contains("`make install`"), "{said}");
}

//! How do tests run the program? In the repository's folder, without colours.

use assert_cmd::Command;
use std::process::Output;
use tempfile::TempDir;

/// The program with these arguments.
pub fn bayplan(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bayplan"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args).env("NO_COLOR", "1");
    command
}

/// Runs, and gives (exit code, stdout, stderr).
pub fn run(args: &[&str]) -> (i32, String, String) {
    run_with(args, "")
}

/// The same with this on stdin.
pub fn run_with(args: &[&str], stdin: impl Into<Vec<u8>>) -> (i32, String, String) {
    let output = output_with(args, stdin);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("all output is UTF-8");
    (output.status.code().expect("no signal ended it"), text(output.stdout), text(output.stderr))
}

/// The same, whatever it prints and however it ends; it may end before it has read all.
pub fn output_with(args: &[&str], stdin: impl Into<Vec<u8>>) -> Output {
    bayplan(args).write_stdin(stdin).output().unwrap()
}

/// The path of a file in a folder.
pub fn path_in(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_string()
}

/// A file with this in it; its path.
pub fn written(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = path_in(folder, name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Waits until the process handles SIGINT: bit 1 of the caught set that Linux shows.
#[cfg(target_os = "linux")]
pub fn wait_until_it_listens(child: &std::process::Child) {
    use std::time::{Duration, Instant};
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        if u64::from_str_radix(caught, 16).unwrap() >> 1 & 1 == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the process does not handle SIGINT");
}

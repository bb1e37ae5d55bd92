//! Running the stock programs that we stand in for.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::env;
use crate::failure::{Failure, Result};

/// Where to look besides `PATH`, which may be empty in a hook or a service.
const USUAL: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

/// Finds a program, but never ourselves under that name.
///
/// # Errors
/// It is not installed.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let ourselves = crate::program()
        .ok()
        .and_then(|path| path.canonicalize().ok());
    let path = env::raw("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(USUAL.map(PathBuf::from));
    for candidate in folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
    {
        let real = candidate.canonicalize().ok();
        if is_program(&candidate) && (real.is_none() || real != ourselves) {
            return Ok(candidate);
        }
    }
    Err(Failure::user(
        format!("{name} is not installed"),
        "install the OpenSSH client",
    ))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Becomes another program; returns only if that fails.
pub(crate) fn become_program(mut command: Command) -> Failure {
    let error = command.exec();
    Failure::file("run", Path::new(command.get_program()), &error)
}

/// Runs `program` as if we were not there.
pub(crate) fn become_plain(program: &Path, args: &[OsString]) -> Failure {
    let mut command = Command::new(program);
    command.args(args);
    become_program(command)
}

/// Runs a program and waits, passing on the signals that would end us. `begun` learns its process id.
///
/// # Errors
/// It cannot be run.
pub(crate) fn run(command: &mut Command, begun: impl FnOnce(i32)) -> Result<ExitStatus> {
    let failed = |error: std::io::Error, command: &Command| {
        Failure::file("run", Path::new(command.get_program()), &error)
    };
    // Before the child starts, so that no signal ends us and leaves the child alone.
    let signals = Signals::new([SIGTERM, SIGHUP, SIGINT]);
    let mut child = command.spawn().map_err(|error| failed(error, command))?;
    let id = i32::try_from(child.id()).unwrap_or(0);
    begun(id);
    if let (Ok(mut signals), Some(process)) = (signals, rustix::process::Pid::from_raw(id)) {
        let _ = std::thread::Builder::new().spawn(move || {
            for signal in signals.forever() {
                let signal = match signal {
                    SIGTERM => rustix::process::Signal::TERM,
                    SIGHUP => rustix::process::Signal::HUP,
                    _ => rustix::process::Signal::INT,
                };
                let _ = rustix::process::kill_process(process, signal);
            }
        });
    }
    child.wait().map_err(|error| failed(error, command))
}

/// The exit code of a child as a shell tells it.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
}

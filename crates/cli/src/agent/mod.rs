//! The agent: one process per user that holds credentials for a minute, relays signatures, and ends when
//! nobody needs it. Its state is in memory alone.

mod activity;
mod core;
mod credentials;
mod keys;
mod known;
mod notices;
mod reports;
mod serve;
mod sign;
mod sign_in;
mod ssh_plan;

use std::fs::{self, File, Metadata, TryLockError};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

pub(crate) use ssh_plan::version_text as ssh_version;

use self::core::Core;
use crate::control::{self, Ask};
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::say;

/// Between two looks at what is due.
const TICK: Duration = Duration::from_secs(10);
/// How long to wait for an agent that is about to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How the agent runs.
pub(crate) struct Options {
    /// In a session of its own, away from the terminal that happened to need it first.
    pub(crate) attachment: Attachment,
    /// Ends after this time without anybody asking.
    pub(crate) idle: Duration,
}

/// Whether the agent belongs to a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attachment {
    Foreground,
    Detached,
}

/// Why the agent ends.
enum Event {
    Stop,
}

/// Runs the agent until nobody needs it. Returns at once where one runs already.
///
/// # Errors
/// The runtime folder or the sockets cannot be made.
pub(crate) fn run(options: &Options) -> Result<()> {
    let places = Places::find()?;
    places.make_runtime()?;
    if options.attachment == Attachment::Detached {
        // Fails only for a process group's leader, which has no terminal's signals to fear either.
        let _ = rustix::process::setsid();
    }
    let Some(lock) = lock(&places)? else {
        if options.attachment == Attachment::Foreground {
            say::err("forgepass: an agent runs already");
        }
        return Ok(());
    };
    let sockets = Sockets::bind(&places)?;
    let (sender, events) = mpsc::channel();
    let core = Arc::new(Core::new(places, sender.clone())?);
    stop_on_signals(sender)?;
    serve::accept(&core, &sockets.control, serve::control)?;
    serve::accept(&core, &sockets.agent, serve::ssh)?;
    if options.attachment == Attachment::Foreground {
        say::err(format_args!(
            "forgepass: listening; SSH_AUTH_SOCK={}",
            sockets.paths[1].display()
        ));
    }
    wait(&core, &sockets, &events, options.idle);
    core.flush_reports();
    drop(lock);
    Ok(())
}

/// Ends the running agent, if one runs.
///
/// # Errors
/// No home folder.
pub(crate) fn stop() -> Result<()> {
    let _ = control::ask_running(&Places::find()?, &Ask::Stop);
    Ok(())
}

/// Takes the lock that only one agent holds; none if another serves.
fn lock(places: &Places) -> Result<Option<File>> {
    let path = places.lock();
    let open = || {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
    };
    let begun = Instant::now();
    loop {
        let file = open().map_err(|error| Failure::file("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(Failure::file("lock", &path, &error)),
            Err(TryLockError::WouldBlock) if control::connect(places).is_ok() => return Ok(None),
            Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_PATIENCE => {
                return Err(Failure::ours(
                    "another agent holds the lock and does not answer",
                    format!(
                        "end the process that holds {} and try again",
                        path.display()
                    ),
                ));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The two sockets, removed at the end.
struct Sockets {
    control: UnixListener,
    agent: UnixListener,
    paths: [PathBuf; 2],
    /// Which file each was when it was made, to tell whether somebody replaced it.
    inodes: [u64; 2],
}

impl Sockets {
    /// The holder of the lock replaces what an agent that was killed has left.
    fn bind(places: &Places) -> Result<Self> {
        let paths = [places.control_socket(), places.agent_socket()];
        let bind = |path: &Path| {
            let _ = fs::remove_file(path);
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let make =
            |path: &Path| bind(path).map_err(|error| Failure::file("listen on", path, &error));
        // The control socket comes last: whoever waits for it may then use both.
        let agent = make(&paths[1])?;
        let control = make(&paths[0])?;
        let inodes = [inode(&paths[0]), inode(&paths[1])];
        Ok(Self {
            control,
            agent,
            paths,
            inodes,
        })
    }

    /// Whether both are still where others find them; cleaners of temporary folders remove them at times.
    fn are_there(&self) -> bool {
        self.inodes == [inode(&self.paths[0]), inode(&self.paths[1])]
    }

    fn remove(&self) {
        for (path, made) in self.paths.iter().zip(self.inodes) {
            if inode(path) == made {
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.remove();
    }
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |file| file.ino())
}

fn stop_on_signals(sender: mpsc::Sender<Event>) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| {
        Failure::ours(format!("cannot listen to signals: {error}"), "report this")
    })?;
    let _ = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                let _ = sender.send(Event::Stop);
            }
        });
    Ok(())
}

/// Does what is due from time to time; returns when the agent should end, with its sockets removed.
fn wait(core: &Core, sockets: &Sockets, events: &Receiver<Event>, idle: Duration) {
    let program = Program::now();
    loop {
        match events.recv_timeout(TICK.min(idle)) {
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let outdated = !sockets.are_there() || program != Program::now();
        let unused = core
            .activity
            .idle_for()
            .is_some_and(|time| time >= idle || outdated);
        if unused {
            // Who connected before the sockets went away is still served.
            sockets.remove();
            std::thread::sleep(Duration::from_millis(20));
            core.activity.wait_until_idle();
            return;
        }
        core.housekeeping();
    }
    sockets.remove();
}

/// Which file this program is: a newer one takes over when nobody is connected.
#[derive(PartialEq, Eq)]
struct Program(Option<(u64, i64)>);

impl Program {
    fn now() -> Self {
        let facts = |file: Metadata| (file.ino(), file.mtime());
        Self(
            crate::program()
                .ok()
                .and_then(|path| fs::metadata(path).ok())
                .map(facts),
        )
    }
}

/// Locks a mutex whose holder may have panicked: what it guards is a cache.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

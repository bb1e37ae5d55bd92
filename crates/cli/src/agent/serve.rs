//! The agent's two doors: each connection has a thread of its own.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use ssh::agent::{Request, Response, read_frame, write_frame};

use super::core::Core;
use super::sign::Conversation;
use crate::control::{self, Answer, Ask};
use crate::failure::{Failure, Result};

/// How long a client that holds our control socket may stay silent.
const CONTROL_PATIENCE: Duration = Duration::from_secs(60);

/// Serves every connection of `listener` by `talk`. Connections of other users are closed unheard.
///
/// # Errors
/// The listener or its thread cannot be made.
pub(super) fn accept(
    core: &Arc<Core>,
    listener: &UnixListener,
    talk: fn(&Core, UnixStream) -> io::Result<()>,
) -> Result<()> {
    let failed = |error: io::Error| Failure::ours(format!("cannot listen: {error}"), "report this");
    let listener = listener.try_clone().map_err(failed)?;
    let core = Arc::clone(core);
    let doorman = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of file descriptors, most likely: let some connections end.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            if !control::is_me(&stream) {
                continue;
            }
            let core = Arc::clone(&core);
            // Without a thread the stream is dropped, and the client sees a closed connection.
            let _ = std::thread::Builder::new().spawn(move || {
                let _connection = core.activity.begin();
                // A client that goes away in the middle concerns nobody else.
                let _ = talk(&core, stream);
            });
        }
    };
    std::thread::Builder::new()
        .spawn(doorman)
        .map(|_| ())
        .map_err(failed)
}

/// The control socket: a question, an answer, until the client closes.
pub(super) fn control(core: &Core, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(CONTROL_PATIENCE))?;
    while let Some(question) = control::read_frame::<Ask>(&mut stream)? {
        if let Ask::Watch = question {
            return watch(core, stream);
        }
        let answer = core.answer(question);
        control::write_frame(&mut stream, &answer)?;
    }
    Ok(())
}

/// Sends notices until the watcher closes its side.
fn watch(core: &Core, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    let watcher = core.notices.watch(stream.try_clone()?);
    // The first answer tells that nothing is missed from here on.
    control::write_frame(&mut stream, &Answer::Done)?;
    while control::read_frame::<Ask>(&mut stream)?.is_some() {}
    core.notices.leave(watcher);
    stream.shutdown(std::net::Shutdown::Both)
}

/// The SSH agent's socket. A malformed message is answered with FAILURE; a frame that is too long loses
/// the place in the stream, so the connection ends.
pub(super) fn ssh(core: &Core, mut stream: UnixStream) -> io::Result<()> {
    let mut conversation = Conversation::new(core, control::process_of(&stream));
    while let Some(frame) = read_frame(&mut stream)? {
        let response = match Request::decode(&frame) {
            Ok(request) => conversation.answer(request),
            Err(_) => Response::Failure,
        };
        write_frame(&mut stream, &response.encode())?;
    }
    Ok(())
}

//! Listens to the agent's notices while ssh or ssh-keygen runs.

use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use crate::control::{self, Answer, Ask, Notice, NoticeKind};
use crate::places::Places;
use crate::say;

/// A running watch.
pub(crate) struct Watch {
    stream: UnixStream,
    child: Sender<i32>,
    listener: JoinHandle<Heard>,
}

/// What the agent said about the child.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Whether the child has asked the agent for anything.
    pub(crate) seen: bool,
    /// Why it was refused, the last time.
    pub(crate) refused: Option<Notice>,
}

impl Watch {
    /// Begins to watch; none where the agent does not answer.
    pub(crate) fn begin(places: &Places) -> Option<Self> {
        let mut stream = control::connect(places).ok()?;
        control::write_frame(&mut stream, &Ask::Watch).ok()?;
        let Some(Answer::Done) = control::read_frame(&mut stream).ok()? else {
            return None;
        };
        let reader = stream.try_clone().ok()?;
        let (child, id) = mpsc::channel();
        let listener = std::thread::Builder::new()
            .spawn(move || listen(reader, &id))
            .ok()?;
        Some(Self {
            stream,
            child,
            listener,
        })
    }

    /// Tells which process to listen for.
    pub(crate) fn child(&self, process: i32) {
        let _ = self.child.send(process);
    }

    /// Ends the watch, after everything that was said up to now.
    pub(crate) fn end(self) -> Heard {
        drop(self.child);
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        self.listener.join().unwrap_or_default()
    }
}

fn listen(mut stream: UnixStream, id: &Receiver<i32>) -> Heard {
    let mut heard = Heard::default();
    let mut child = None;
    while let Ok(Some(Answer::Notice(notice))) = control::read_frame(&mut stream) {
        // The child's id comes before its first message can.
        child = child.or_else(|| id.recv().ok());
        // Another process number space shows ours as 0: rather one message too many.
        if notice.process != 0 && Some(notice.process) != child {
            continue;
        }
        heard.seen = true;
        match notice.kind {
            NoticeKind::Seen => {}
            NoticeKind::Waiting => {
                say::err(format_args!("forgepass: {}", say::clean(&notice.what)))
            }
            NoticeKind::Refused => heard.refused = Some(notice),
        }
    }
    heard
}

/// Prints why the agent refused.
pub(crate) fn explain(notice: &Notice) {
    say::err(format_args!("forgepass: {}", say::clean(&notice.what)));
    if !notice.hint.is_empty() {
        say::err(format_args!("hint: {}", say::clean(&notice.hint)));
    }
}

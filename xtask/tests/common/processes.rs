//! Sees the command line and environment of every process that comes by.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// One process at one moment: its arguments and its variables, as the kernel shows them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) arguments: Vec<u8>,
    pub(crate) variables: Vec<u8>,
}

impl Seen {
    /// The arguments, for people.
    pub(crate) fn line(&self) -> String {
        String::from_utf8_lossy(&self.arguments).replace('\0', " ")
    }

    fn mentions(&self, path: &Path) -> bool {
        let path = path.to_str().unwrap().as_bytes();
        let holds = |bytes: &[u8]| bytes.windows(path.len()).any(|part| part == path);
        holds(&self.variables) || holds(&self.arguments)
    }
}

/// Looks again and again, from a thread of its own.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<Seen>>,
}

impl Watch {
    /// Begins to look.
    pub(crate) fn begin() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !until.load(Ordering::Relaxed) {
                seen.extend(all());
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        Self { over, thread }
    }

    /// Ends it: everything that was seen of processes which know `folder`. Other people's are none of ours.
    pub(crate) fn end(self, folder: &Path) -> Vec<Seen> {
        self.over.store(true, Ordering::Relaxed);
        let seen = self.thread.join().unwrap().into_iter();
        seen.filter(|one| one.mentions(folder)).collect()
    }
}

/// Every process whose files this user may read; one that ends meanwhile is left out.
fn all() -> impl Iterator<Item = Seen> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        Some(Seen {
            arguments: std::fs::read(entry.path().join("cmdline")).ok()?,
            variables: std::fs::read(entry.path().join("environ")).ok()?,
        })
    })
}

//! Looks for secrets in bytes: as they are, in base64 at any place, in hex, or percent-encoded.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// How many leading bytes of a needle are looked up; shorter needles would be found by chance.
const HEAD: usize = 8;

/// What gives a private key away, whatever its text: the armour of PEM and of OpenSSH, and the magic inside the latter.
const PRIVATE_KEYS: &[(&str, &[u8])] = &[
    ("the armour of a private key", b"PRIVATE KEY-----"),
    ("an OpenSSH private key", b"openssh-key-v1\0"),
];

/// What is looked for.
#[derive(Default)]
pub(crate) struct Scanner {
    needles: HashMap<[u8; HEAD], Vec<Needle>>,
}

struct Needle {
    text: Vec<u8>,
    /// What is told when it is found; never the secret itself.
    label: String,
}

impl Scanner {
    /// Looks for private keys.
    pub(crate) fn private_keys() -> Self {
        let mut scanner = Self::default();
        for (label, mark) in PRIVATE_KEYS {
            scanner.add(label, mark);
        }
        scanner
    }

    /// Looks for one more secret, in every form in which it may be carried.
    pub(crate) fn add(&mut self, label: &str, secret: &[u8]) {
        assert!(secret.len() >= 14, "{label} is too short to be looked for");
        self.add_text(label, secret.to_vec());
        self.add_text(&format!("{label}, in hex"), hex(secret).into_bytes());
        for offset in 0..3 {
            for alphabet in [STANDARD, URL_SAFE] {
                let form = format!("{label}, in base64");
                self.add_text(&form, inner_base64(secret, offset, alphabet));
            }
        }
        let encoded: String = url::form_urlencoded::byte_serialize(secret).collect();
        self.add_text(&format!("{label}, percent-encoded"), encoded.into_bytes());
    }

    fn add_text(&mut self, label: &str, text: Vec<u8>) {
        let head = text.first_chunk::<HEAD>().copied();
        let known = self.needles.entry(head.unwrap()).or_default();
        if known.iter().all(|needle| needle.text != text) {
            known.push(Needle {
                text,
                label: label.to_owned(),
            });
        }
    }

    /// Labels of everything that stands in `bytes`.
    pub(crate) fn find(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (at, head) in bytes.windows(HEAD).enumerate() {
            let head: [u8; HEAD] = head.try_into().unwrap();
            for needle in self.needles.get(&head).into_iter().flatten() {
                if bytes[at..].starts_with(&needle.text) {
                    found.insert(needle.label.as_str());
                }
            }
        }
        found
    }

    /// What stands in the files below `folder`: `path: label`. Names count too, and so do targets of links.
    pub(crate) fn find_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                found.extend(self.find_below(&path));
                continue;
            }
            let mut bytes = path.to_str().unwrap().as_bytes().to_vec();
            if kind.is_symlink() {
                bytes.extend(std::fs::read_link(&path).unwrap().to_str().unwrap().bytes());
            } else if kind.is_file() {
                bytes.extend(std::fs::read(&path).unwrap());
            }
            let labels = self.find(&bytes);
            found.extend(
                labels
                    .iter()
                    .map(|label| format!("{}: {label}", path.display())),
            );
        }
        found
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters of `secret` in base64 that do not depend on what stands before and after it, where
/// `offset` bytes (modulo 3) stand before.
fn inner_base64(secret: &[u8], offset: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let skipped = (3 - offset) % 3;
    let whole = secret[skipped..].chunks_exact(3);
    whole
        .flat_map(|three| {
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            [18, 12, 6, 0].map(|shift| alphabet[(bits >> shift) as usize & 63])
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

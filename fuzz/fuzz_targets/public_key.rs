//! A key that reads from a line or a blob survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ssh::public_key::{PublicKey, known_hosts_line};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = PublicKey::from_blob(bytes) {
        assert_eq!(key.blob, bytes);
        assert_eq!(PublicKey::parse(&key.to_line()), Ok(key));
    }
    let Ok(line) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = PublicKey::parse(line) {
        let pinned = known_hosts_line(line, &key);
        assert_eq!(pinned.lines().count(), 1);
        assert_eq!(
            PublicKey::parse(&key.to_line()).map(|key| key.blob),
            Ok(key.blob)
        );
    }
});

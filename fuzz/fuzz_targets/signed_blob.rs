//! No signature request is understood in two ways, nor with bytes that were not read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ssh::signed::parse;

fuzz_target!(|data: &[u8]| {
    if parse(data).is_ok() {
        assert!(parse(&[data, &[0]].concat()).is_err());
        assert!(parse(&data[..data.len() - 1]).is_err());
    }
});

//! Looks host names up in `/etc/hosts` and DNS alone when this binary carries its own C library.
//!
//! glibc's resolver loads the modules that `/etc/nsswitch.conf` names. A static binary would load them,
//! and the C library they need, from the machine it happens to run on: another version than its own,
//! which ends in a crash. `files` and `dns` are part of the C library itself (glibc 2.34 and later).
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

const DATABASE: &CStr = c"hosts";
const SERVICES: &CStr = c"files dns";

unsafe extern "C" {
    /// `nss.h`: "Overwrite service selection for database DBNAME using specification in STRING".
    fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
}

/// Keeps the C library from loading modules of the machine. To be called before the first look-up.
pub(crate) fn keep_to_the_built_in() {
    // SAFETY: both strings end in NUL, live for ever and are only read; the call takes the lock of the
    // C library's own table.
    unsafe { __nss_configure_lookup(DATABASE.as_ptr(), SERVICES.as_ptr()) };
}

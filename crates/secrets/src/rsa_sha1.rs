//! RSA-SHA1 signatures, which OAuth 1.0a (RFC 5849 section 3.4.3) demands and AWS-LC's safe
//! interface leaves out: the only unsafe code of the server.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_sys::{NID_sha1, RSA, RSA_free, RSA_private_key_from_bytes, RSA_sign, RSA_size};

/// An RSA private key in AWS-LC's memory.
///
/// Invariant: the pointer came from `RSA_private_key_from_bytes`, nothing else owns the key, and it
/// is freed once, on drop (AWS-LC wipes it then).
pub(crate) struct RsaSha1Key(NonNull<RSA>);

// SAFETY: an `RSA` may be used from several threads at once as long as nobody changes it
// (`openssl/rsa.h`: "it is generally safe to use an RSA object concurrently by multiple threads for
// signing"; its blinding and Montgomery caches have their own lock). No method here changes it.
unsafe impl Send for RsaSha1Key {}
// SAFETY: as above; `&RsaSha1Key` gives nothing but `sign`.
unsafe impl Sync for RsaSha1Key {}

impl Drop for RsaSha1Key {
    fn drop(&mut self) {
        // SAFETY: by the invariant the key is ours alone, and this is its last use.
        unsafe { RSA_free(self.0.as_ptr()) }
    }
}

impl RsaSha1Key {
    /// Reads a PKCS#1 `RSAPrivateKey` in DER; `None` when it is none, or its numbers disagree.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Option<Self> {
        // SAFETY: pointer and length describe `der`, which is only read, and only during the call.
        // What comes back is null or a key that the caller owns.
        let key = unsafe { RSA_private_key_from_bytes(der.as_ptr(), der.len()) };
        NonNull::new(key).map(Self)
    }

    /// Signs the SHA-1 of `message` with PKCS#1 v1.5 padding; `None` when AWS-LC does not sign.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
        let hash = hash.as_ref();
        // SAFETY: by the invariant the pointer is a live key.
        let mut signature = vec![0; unsafe { RSA_size(self.0.as_ptr()) } as usize];
        let mut length = 0;
        // SAFETY: the hash is read for its own length; `signature` has the `RSA_size` bytes that are
        // written at most, and how many they were goes to `length`; the key is live, as above, and
        // though its pointer is not const it is only locked and read.
        let signed = unsafe {
            RSA_sign(
                NID_sha1,
                hash.as_ptr(),
                hash.len(),
                signature.as_mut_ptr(),
                &mut length,
                self.0.as_ptr(),
            )
        };
        signature.truncate(length as usize);
        (signed == 1).then_some(signature)
    }
}

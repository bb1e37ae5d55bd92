//! What is wrong with a TLS connection, in words that tell the site manager what to change.

use rustls::{CertificateError, Error};

/// One sentence for a TLS fault.
pub(super) fn in_words(fault: &Error) -> String {
    match fault {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::AlertReceived(alert) => format!("the server ended the TLS handshake: {alert:?}"),
        Error::PeerIncompatible(_) => {
            "the server offers no TLS version or cipher that is still safe".to_owned()
        }
        Error::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by an unknown authority: add that authority's certificate \
             as CA bundle"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: compare the clocks"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host name"
        }
        CertificateError::Revoked => "its certificate has been revoked",
        CertificateError::BadSignature => "its certificate is not signed by the authority it names",
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority (CA:TRUE), which no server may use: give the \
             server a certificate of its own"
        }
        other => return format!("its certificate is refused: {other}"),
    }
    .to_owned()
}

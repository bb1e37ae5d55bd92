//! OAuth 1.0a: the texts to sign and the header to send, against vectors that two independent
//! programs agree on. The signatures themselves are checked where the key is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use forge::oauth1::{base_string, header, parameters};
use http::Method;
use secrecy::SecretString;

/// A request of the consumer `coder-git` and the text that its signature covers.
struct Vector {
    method: Method,
    url: &'static str,
    nonce: &'static str,
    timestamp: i64,
    token: Option<&'static str>,
    extra: &'static [(&'static str, &'static str)],
    base_string: &'static str,
}

const VECTORS: &[Vector] = &[
    // Request token: a context path, and a callback with a query, which is encoded twice.
    Vector {
        method: Method::POST,
        url: "https://bitbucket.example.com/bitbucket/plugins/servlet/oauth/request-token",
        nonce: "7d8f3e4a",
        timestamp: 1_700_000_000,
        token: None,
        extra: &[(
            "oauth_callback",
            "https://coder.example.com/api/git/callback/bbs?state=AbC-123_x~y",
        )],
        base_string: "POST&https%3A%2F%2Fbitbucket.example.com%2Fbitbucket%2Fplugins%2Fservlet%2Foauth%2Frequest-token&oauth_callback%3Dhttps%253A%252F%252Fcoder.example.com%252Fapi%252Fgit%252Fcallback%252Fbbs%253Fstate%253DAbC-123_x~y%26oauth_consumer_key%3Dcoder-git%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DRSA-SHA1%26oauth_timestamp%3D1700000000%26oauth_version%3D1.0",
    },
    // Access token: the verifier is covered.
    Vector {
        method: Method::POST,
        url: "https://bitbucket.example.com/bitbucket/plugins/servlet/oauth/access-token",
        nonce: "9a1b2c3d",
        timestamp: 1_700_000_060,
        token: Some("rt8yXyQmTz"),
        extra: &[("oauth_verifier", "v3rIfy")],
        base_string: "POST&https%3A%2F%2Fbitbucket.example.com%2Fbitbucket%2Fplugins%2Fservlet%2Foauth%2Faccess-token&oauth_consumer_key%3Dcoder-git%26oauth_nonce%3D9a1b2c3d%26oauth_signature_method%3DRSA-SHA1%26oauth_timestamp%3D1700000060%26oauth_token%3Drt8yXyQmTz%26oauth_verifier%3Dv3rIfy%26oauth_version%3D1.0",
    },
    // List of keys: the query is sorted in among the others.
    Vector {
        method: Method::GET,
        url: "https://bitbucket.example.com/bitbucket/rest/ssh/1.0/keys?start=0&limit=25",
        nonce: "0f1e2d3c",
        timestamp: 1_700_000_120,
        token: Some("atKq0PlWnE"),
        extra: &[],
        base_string: "GET&https%3A%2F%2Fbitbucket.example.com%2Fbitbucket%2Frest%2Fssh%2F1.0%2Fkeys&limit%3D25%26oauth_consumer_key%3Dcoder-git%26oauth_nonce%3D0f1e2d3c%26oauth_signature_method%3DRSA-SHA1%26oauth_timestamp%3D1700000120%26oauth_token%3DatKq0PlWnE%26oauth_version%3D1.0%26start%3D0",
    },
    // Minting: another port stays, the JSON body is not covered.
    Vector {
        method: Method::PUT,
        url: "https://bitbucket.example.com:8443/rest/access-tokens/latest/users/j.doe_example",
        nonce: "5566aabb",
        timestamp: 1_700_000_180,
        token: Some("atKq0PlWnE"),
        extra: &[],
        base_string: "PUT&https%3A%2F%2Fbitbucket.example.com%3A8443%2Frest%2Faccess-tokens%2Flatest%2Fusers%2Fj.doe_example&oauth_consumer_key%3Dcoder-git%26oauth_nonce%3D5566aabb%26oauth_signature_method%3DRSA-SHA1%26oauth_timestamp%3D1700000180%26oauth_token%3DatKq0PlWnE%26oauth_version%3D1.0",
    },
];

const SIGNATURE: &str = "gIZwYGA772Wwgjz5p/Spud1DJsGAX/VDu9GxH70kwKOZ3WXUBZ/x3jGqrxdYjIu2/DBIRLfdDQjXN7m8GOQHoNrMN3LUQWWbRvHmgIRd6TT2V1dEBKbDFPNYRnDVhymDZ2iYvag9jDehVuz03k/+966rH/ATvvVnGUTlt7Y55iWwZFBP0MApIqqvIDLeIgiQ8yPoGJmbHAfjINnYkzWshuUin/Fq63cJUlU799ObNERRXbVhGpSrrbdy7RaLg9dMAcJzp+6jBjoVpIAw2IPb0yYldcRnwT7ckmZ5McVtSRQMFaptitrt4Yj9Qd9CI7WbzSVD+G7/70fh1tXXBLtIOw==";

const HEADER: &str = r#"OAuth oauth_callback="https%3A%2F%2Fcoder.example.com%2Fapi%2Fgit%2Fcallback%2Fbbs%3Fstate%3DAbC-123_x~y", oauth_consumer_key="coder-git", oauth_nonce="7d8f3e4a", oauth_signature="gIZwYGA772Wwgjz5p%2FSpud1DJsGAX%2FVDu9GxH70kwKOZ3WXUBZ%2Fx3jGqrxdYjIu2%2FDBIRLfdDQjXN7m8GOQHoNrMN3LUQWWbRvHmgIRd6TT2V1dEBKbDFPNYRnDVhymDZ2iYvag9jDehVuz03k%2F%2B966rH%2FATvvVnGUTlt7Y55iWwZFBP0MApIqqvIDLeIgiQ8yPoGJmbHAfjINnYkzWshuUin%2FFq63cJUlU799ObNERRXbVhGpSrrbdy7RaLg9dMAcJzp%2B6jBjoVpIAw2IPb0yYldcRnwT7ckmZ5McVtSRQMFaptitrt4Yj9Qd9CI7WbzSVD%2BG7%2F70fh1tXXBLtIOw%3D%3D", oauth_signature_method="RSA-SHA1", oauth_timestamp="1700000000", oauth_version="1.0""#;

fn params(vector: &Vector) -> Vec<(String, String)> {
    let token = vector.token.map(SecretString::from);
    let extra: Vec<(&'static str, String)> = vector
        .extra
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    parameters(
        "coder-git",
        vector.nonce,
        vector.timestamp,
        token.as_ref(),
        &extra,
    )
}

#[test]
fn builds_the_four_base_strings_exactly() {
    assert_eq!(VECTORS.len(), 4);
    for vector in VECTORS {
        let url = vector.url.parse().unwrap();
        assert_eq!(
            base_string(&vector.method, &url, &params(vector)),
            vector.base_string
        );
    }
}

#[test]
fn builds_the_header_of_a_vector() {
    let built = header(&params(&VECTORS[0]), SIGNATURE);
    let parts = |text: &str| -> BTreeSet<String> {
        let text = text.strip_prefix("OAuth ").unwrap();
        text.split(", ").map(str::to_owned).collect()
    };
    assert_eq!(parts(&built), parts(HEADER));
}

#[test]
fn scheme_host_and_default_port_are_normalised() {
    let params = params(&VECTORS[3]);
    let of = |url: &str| base_string(&Method::GET, &url.parse().unwrap(), &params);
    let plain = of("https://bitbucket.example.com/x");
    assert!(plain.starts_with("GET&https%3A%2F%2Fbitbucket.example.com%2Fx&oauth_consumer_key"));
    assert_eq!(of("HTTPS://Bitbucket.Example.com:443/x"), plain);
    assert_eq!(of("https://bitbucket.example.com/x#fragment"), plain);
    assert_ne!(of("https://bitbucket.example.com:8443/x"), plain);
    assert_ne!(of("https://bitbucket.example.com/X"), plain);
}

/// The example of RFC 5849 section 3.4.1.1 with its repeated, empty and encoded parameters; the
/// fields of its form body are given with the others.
#[test]
fn builds_the_base_string_of_the_rfc() {
    let params = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
        ("c2", ""),
        ("a3", "2 q"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
        .parse()
        .unwrap();
    assert_eq!(
        base_string(&Method::POST, &url, &params),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q\
         %26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_\
         key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_m\
         ethod%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk\
         9d7dh3k39sjv7"
    );
}

//! The agent's messages survive the way to the wire and back, and no bytes do harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{self, Read};

use proptest::collection::vec;
use proptest::prelude::*;
use ssh::agent::{
    Binding, Identity, MAX_FRAME, QUERY, Request, Response, SESSION_BIND, read_frame, write_frame,
};
use ssh::wire::{WireError, Writer};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn request() -> impl Strategy<Value = Request> {
    let known = [11, 13, 27];
    prop_oneof![
        Just(Request::List),
        Just(Request::Query),
        (bytes(), bytes(), any::<u32>()).prop_map(|(key, data, flags)| Request::Sign {
            key,
            data,
            flags
        }),
        (bytes(), vec(any::<u8>(), 1..=128), bytes(), any::<bool>()).prop_map(
            |(host_key, session_id, signature, forwarding)| Request::Bind(Binding {
                host_key,
                session_id,
                signature,
                forwarding,
            })
        ),
        any::<u8>()
            .prop_filter("known messages have a body", move |n| !known.contains(n))
            .prop_map(Request::Other),
        "[a-z]{1,9}@example.com".prop_map(Request::UnknownExtension),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let identity = (bytes(), any::<String>()).prop_map(|(key, comment)| Identity { key, comment });
    prop_oneof![
        vec(identity, 0..5).prop_map(Response::Identities),
        bytes().prop_map(Response::Signature),
        Just(Response::Success),
        Just(Response::Failure),
        Just(Response::ExtensionFailure),
        vec(any::<String>(), 0..5).prop_map(Response::Extensions),
    ]
}

proptest! {
    #[test]
    fn a_request_reads_back_as_it_was_written(request in request()) {
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn an_answer_reads_back_as_it_was_written(response in response()) {
        prop_assert_eq!(Response::decode(&response.encode()), Ok(response));
    }

    #[test]
    fn arbitrary_bytes_never_panic(frame in vec(any::<u8>(), 0..400)) {
        let _ = Request::decode(&frame);
        let _ = Response::decode(&frame);
        let _ = read_frame(&mut frame.as_slice());
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(number in prop_oneof![Just(11), Just(13), Just(14)], body in vec(0u8..4, 0..60)) {
        let frame = [vec![number], body].concat();
        if let Ok(request @ (Request::List | Request::Sign { .. })) = Request::decode(&frame) {
            prop_assert_eq!(request.encode(), frame.clone());
        }
        if let Ok(response) = Response::decode(&frame) {
            prop_assert_eq!(response.encode(), frame);
        }
    }

    #[test]
    fn a_message_cut_short_or_made_longer_is_refused(request in request(), cut in any::<prop::sample::Index>()) {
        let frame = request.encode();
        if let Request::List | Request::Sign { .. } | Request::Bind(_) | Request::Query = request {
            prop_assert!(Request::decode(&frame[..cut.index(frame.len())]).is_err());
            prop_assert_eq!(Request::decode(&[frame, vec![0]].concat()), Err(WireError::Trailing));
        }
    }

    #[test]
    fn a_frame_survives_a_stream_that_gives_one_byte_at_a_time(frame in vec(any::<u8>(), 1..300)) {
        let mut stream = Vec::new();
        write_frame(&mut stream, &frame).unwrap();
        write_frame(&mut stream, b"next").unwrap();
        let mut slow = OneByte(&stream);
        prop_assert_eq!(read_frame(&mut slow).unwrap(), Some(frame));
        prop_assert_eq!(read_frame(&mut slow).unwrap(), Some(b"next".to_vec()));
        prop_assert_eq!(read_frame(&mut slow).unwrap(), None);
    }
}

/// A stream that gives one byte at a time, as a slow peer does.
struct OneByte<'a>(&'a [u8]);

impl Read for OneByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

/// A stream that never ends and counts what was taken.
struct Endless(usize);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(0xff);
        self.0 += buffer.len();
        assert!(self.0 < 4 * MAX_FRAME, "reads on and on");
        Ok(buffer.len())
    }
}

#[test]
fn a_frame_over_the_cap_is_refused_before_its_body_is_read() {
    let mut stream = Endless(0);

    let error = read_frame(&mut stream).unwrap_err();

    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(stream.0, 4, "only the length was taken");
}

#[test]
fn the_cap_itself_is_still_a_frame() {
    let frame = vec![7; MAX_FRAME];
    let mut stream = Vec::new();
    write_frame(&mut stream, &frame).unwrap();

    assert_eq!(read_frame(&mut stream.as_slice()).unwrap(), Some(frame));
    let longer = [
        (MAX_FRAME as u32 + 1).to_be_bytes().as_slice(),
        &[7; MAX_FRAME + 1],
    ]
    .concat();
    assert!(read_frame(&mut longer.as_slice()).is_err());
    assert!(write_frame(&mut Vec::new(), &longer[4..]).is_err());
}

#[test]
fn an_empty_frame_is_refused() {
    let error = read_frame(&mut [0, 0, 0, 0].as_slice()).unwrap_err();

    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(write_frame(&mut Vec::new(), b"").is_err());
    assert_eq!(Request::decode(b""), Err(WireError::Truncated));
}

#[test]
fn a_stream_that_ends_within_a_frame_is_an_error_and_between_frames_is_not() {
    for cut in 1..9 {
        let stream = &[0, 0, 0, 5, 1, 2, 3, 4, 5][..cut];
        let error = read_frame(&mut &*stream).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::UnexpectedEof,
            "after {cut} bytes"
        );
    }
    assert_eq!(read_frame(&mut [].as_slice()).unwrap(), None);
}

#[test]
fn a_claimed_number_of_keys_costs_no_memory() {
    // Four billion keys in an answer of 5 bytes: reserving for them would need 200 GB.
    let frame = Writer::new().u8(12).u32(u32::MAX).into_vec();

    assert_eq!(Response::decode(&frame), Err(WireError::Truncated));
}

#[test]
fn messages_that_are_not_known_are_told_apart_by_number_whatever_their_body() {
    // Add, remove, remove all, lock, unlock, add constrained, smart cards, and the unassigned.
    for number in [17, 18, 19, 20, 21, 22, 23, 25, 26, 0, 5, 255] {
        let frame = [number, 0, 0, 9];
        assert_eq!(Request::decode(&frame), Ok(Request::Other(number)));
    }
}

#[test]
fn an_extension_that_is_not_known_is_named_whatever_its_body() {
    let frame = Writer::new()
        .u8(27)
        .string("hsm@example.com")
        .raw(&[1, 2, 3])
        .into_vec();

    assert_eq!(
        Request::decode(&frame),
        Ok(Request::UnknownExtension("hsm@example.com".into()))
    );
}

#[test]
fn a_binding_without_a_session_or_with_an_overlong_one_is_refused() {
    for length in [0, 129] {
        let frame = Writer::new()
            .u8(27)
            .string(SESSION_BIND)
            .string("host key")
            .string(vec![1; length])
            .string("signature")
            .bool(false)
            .into_vec();
        assert!(Request::decode(&frame).is_err(), "{length} bytes");
    }
}

#[test]
fn any_byte_but_zero_says_that_the_agent_is_forwarded() {
    let binding = Binding {
        host_key: b"k".to_vec(),
        session_id: b"s".to_vec(),
        signature: b"g".to_vec(),
        forwarding: true,
    };
    let mut frame = Request::Bind(binding.clone()).encode();
    *frame.last_mut().unwrap() = 0x80;

    assert_eq!(Request::decode(&frame), Ok(Request::Bind(binding)));
}

#[test]
fn the_answer_to_a_query_names_the_extension_it_answers() {
    let frame = Response::Extensions(vec![QUERY.into(), SESSION_BIND.into()]).encode();

    // RFC 9987 section 3.8.1.
    let expected = b"\x1d\0\0\0\x05query\0\0\0\x05query\0\0\0\x18session-bind@openssh.com";
    assert_eq!(frame, expected);
    assert!(Response::decode(&Writer::new().u8(29).string("other").into_vec()).is_err());
}

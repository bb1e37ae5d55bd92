//! No frame harms the agent, and what reads as a request or an answer survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ssh::agent::{Request, Response, read_frame};

fuzz_target!(|frame: &[u8]| {
    if let Ok(request) = Request::decode(frame) {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    if let Ok(response) = Response::decode(frame) {
        assert_eq!(response.encode(), frame);
    }
    let mut stream = frame;
    while let Ok(Some(frame)) = read_frame(&mut stream) {
        let _ = Request::decode(&frame);
    }
});

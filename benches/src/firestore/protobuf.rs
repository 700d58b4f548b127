//! As much of protobuf and of gRPC's frames as the double needs.
//!
//! Sources: <https://protobuf.dev/programming-guides/encoding/>,
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

/// A flag that nothing is compressed, and the length.
const FRAME: usize = 5;

/// The message in a frame.
pub(super) fn framed(body: &[u8]) -> &[u8] {
    assert!(body[0] == 0, "the double does not know compressed messages");
    &body[FRAME..]
}

pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// The first field of this number in a message whose fields all have a length.
pub(super) fn field(mut message: &[u8], number: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let key = take_varint(&mut message);
        assert!(key & 7 == 2, "the double does not know fields of type {}", key & 7);
        let length = take_varint(&mut message) as usize;
        let (value, rest) = message.split_at(length);
        if key >> 3 == number {
            return Some(value);
        }
        message = rest;
    }
    None
}

/// Appends a field that has a length.
pub(super) fn put(message: &mut Vec<u8>, number: u64, value: &[u8]) {
    put_varint(message, number << 3 | 2);
    put_varint(message, value.len() as u64);
    message.extend(value);
}

/// `google.protobuf.Timestamp`.
pub(super) fn timestamp(seconds: u64, nanos: u64) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, value) in [(1, seconds), (2, nanos)] {
        put_varint(&mut message, number << 3);
        put_varint(&mut message, value);
    }
    message
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            return value;
        }
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

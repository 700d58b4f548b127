//! What a call sends: an argument, a file, or standard input.

use std::fs::File;
use std::io::{self, Read};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, channel::Channel};
use hyper::body::Bytes;
use serde::de::IgnoredAny;

use crate::failure::Failure;

/// The bytes of one read of a file.
const CHUNK: usize = 64 * 1024;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The content of a request.
#[derive(Default)]
pub(crate) enum Payload {
    #[default]
    Empty,
    Whole(Bytes),
    /// A reader, and its name for an error.
    Stream(Box<dyn Read + Send>),
}

impl Payload {
    /// The JSON of an argument: itself, the content of `@FILE`, or standard input for `-`; `null` without one.
    pub(crate) fn json(argument: Option<&str>, hint: &str) -> Result<Self, Failure> {
        let (name, bytes) = match argument {
            None => return Ok(Self::Whole(Bytes::from_static(b"null"))),
            Some(argument) => read(argument)?,
        };
        serde_json::from_slice::<IgnoredAny>(&bytes)
            .map_err(|error| Failure::new(format!("{name} is no JSON: {error}")).hint(hint))?;
        Ok(Self::Whole(bytes.into()))
    }

    /// The text of an argument, with the same forms.
    pub(crate) fn text(argument: &str) -> Result<Self, Failure> {
        Ok(Self::Whole(read(argument)?.1.into()))
    }

    /// The content of a file, or standard input for `-`.
    pub(crate) fn file(path: &str) -> Result<Self, Failure> {
        if path == "-" {
            return Ok(Self::Stream(Box::new(io::stdin())));
        }
        let file = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => Ok(file),
        });
        let file = file.map_err(|error| Failure::new(format!("the file {path} cannot be read")).because(&error))?;
        Ok(Self::Stream(Box::new(file)))
    }

    /// The bytes that are here.
    pub(super) fn whole(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Empty | Self::Stream(_) => &[],
        }
    }

    pub(super) fn into_body(self) -> Body {
        match self {
            Self::Empty => Full::default().map_err(|never| match never {}).boxed_unsync(),
            Self::Whole(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
            Self::Stream(reader) => stream(reader).boxed_unsync(),
        }
    }
}

/// Reads while the request is sent. The reads block the only thread, which has nothing else to do.
fn stream(mut reader: Box<dyn Read + Send>) -> Channel<Bytes, io::Error> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(size) => {
                    chunk.truncate(size);
                    if sender.send_data(chunk.into()).await.is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return sender.abort(error),
            }
        }
    });
    body
}

fn read(argument: &str) -> Result<(String, Vec<u8>), Failure> {
    let (name, bytes) = match (argument, argument.strip_prefix('@')) {
        ("-", _) => {
            let mut bytes = Vec::new();
            ("standard input".to_owned(), io::stdin().read_to_end(&mut bytes).map(|_| bytes))
        }
        (_, Some(path)) => (format!("the file {path}"), std::fs::read(path)),
        _ => ("the argument".to_owned(), Ok(argument.as_bytes().to_vec())),
    };
    match bytes {
        Ok(bytes) => Ok((name, bytes)),
        Err(error) => Err(Failure::new(format!("{name} cannot be read")).because(&error)),
    }
}

//! As much of HTTP/1.1 as the doubles of services need: requests that have a length or come in
//! chunks, on connections that stay open, a thread each. Nothing between the socket and the answer.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// What was asked.
#[derive(Debug)]
pub struct Request {
    /// The path and the query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers beside the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Answers on a free port of the loopback interface for as long as the process lives. `None` closes the connection.
pub fn serve(answer: impl Fn(Request) -> Option<Answer> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A client that goes away in the middle is the end of a measured process.
            std::thread::spawn(move || drop(connection(stream, answer.as_ref())));
        }
    });
    address
}

fn connection(stream: TcpStream, answer: &dyn Fn(Request) -> Option<Answer>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        let Some(answer) = answer(request) else { break };
        let mut bytes = format!("HTTP/1.1 {} \r\ncontent-length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in answer.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(&answer.body);
        writer.write_all(&bytes)?;
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> Result<Option<Request>> {
    let first = line(reader)?;
    let Some(path) = first.split(' ').nth(1) else { return Ok(None) };
    let path = path.to_owned();
    let headers = read_headers(reader)?;
    let mut request = Request { path, headers, body: Vec::new() };
    if request.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        request.body = read_chunks(reader)?;
    } else {
        request.body = vec![0; request.header("content-length").parse().unwrap_or_default()];
        reader.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

fn read_headers(reader: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Ok(headers) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length =
            usize::from_str_radix(&line(reader)?, 16).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        if length == 0 {
            read_headers(reader)?;
            return Ok(body);
        }
        reader.take(length as u64).read_to_end(&mut body)?;
        line(reader)?;
    }
}

/// A line without its end; empty at the end of the connection.
fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    line.truncate(line.trim_end().len());
    Ok(line)
}

/// Posts once, for what is set up before anything is measured. Returns the whole response as text.
pub fn post(address: SocketAddr, headers: &[(&str, &str)], body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let mut request =
        format!("POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("\r\n{body}"));
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

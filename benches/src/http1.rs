//! As much of HTTP/1.1 as the doubles of services need: requests that have a length or come in
//! chunks, on connections that stay open, a thread each. Nothing between the socket and the answer.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A request to a double.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: String,
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
        value(&self.headers, name)
    }
}

/// The response of a double.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers in addition to the length.
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
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut request = Request { method, path, headers: read_headers(reader)?, body: Vec::new() };
    request.body = read_body(reader, &request.headers)?;
    Ok(Some(request))
}

fn read_body(reader: &mut impl BufRead, headers: &[(String, String)]) -> Result<Vec<u8>> {
    if value(headers, "transfer-encoding").eq_ignore_ascii_case("chunked") {
        return read_chunks(reader);
    }
    let mut body = vec![0; value(headers, "content-length").parse().unwrap_or_default()];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// The value of a header; empty where there is none.
fn value<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
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

/// A client's connection, which stays open.
#[derive(Debug)]
pub struct Connection {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Errors: those of the socket.
    pub fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { writer: stream.try_clone()?, reader: BufReader::new(stream) })
    }

    /// Sends a request that is whole. Returns the answer's status and body. Errors: those of the socket;
    /// `InvalidData` for what is no answer.
    pub fn ask(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.writer.write_all(request)?;
        let first = line(&mut self.reader)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| Error::new(ErrorKind::InvalidData, first))?;
        let headers = read_headers(&mut self.reader)?;
        Ok((status, read_body(&mut self.reader, &headers)?))
    }
}

/// Posts once, for what is set up before anything is measured. Returns the whole response as text.
pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let mut request =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("\r\n{body}"));
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

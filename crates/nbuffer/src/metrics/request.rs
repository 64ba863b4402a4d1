//! One connection: a request is read, answered and closed, within a time that no client can stretch.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::Metrics;

/// What a client may take for its whole visit.
const VISIT: Duration = Duration::from_secs(2);

/// The longest request head that is read.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// The most headers that are read.
const HEADERS_MAX: usize = 64;

/// What is read and thrown away after the answer: closing on unread data would take the answer back.
const REST_BYTES_MAX: u64 = 64 * 1024;

/// Where the figures are.
pub(super) const PATH: &str = "/metrics";

/// Reads one request and answers it.
pub(super) fn serve(stream: &TcpStream, metrics: &Metrics) -> io::Result<()> {
    let mut visit = Visit { stream, until: Instant::now() + VISIT };
    let answer = answer(&read_head(&mut visit)?, metrics);
    visit.write_all(answer.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut visit.take(REST_BYTES_MAX), &mut io::sink())?;
    Ok(())
}

/// A stream until its time is over.
struct Visit<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl Visit<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Visit<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(bytes)
    }
}

impl Write for Visit<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What a client sent, as far as it is of interest.
enum Head {
    Asked { method: String, path: String },
    Malformed(String),
    TooLong,
}

fn read_head(visit: &mut Visit<'_>) -> io::Result<Head> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    while bytes.len() < HEAD_BYTES_MAX {
        let n = visit.read(&mut piece)?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..n]);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes) {
            Ok(httparse::Status::Partial) => {}
            Ok(httparse::Status::Complete(_)) => {
                let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
                return Ok(Head::Asked { method: owned(request.method), path: owned(request.path) });
            }
            Err(httparse::Error::TooManyHeaders) => return Ok(Head::TooLong),
            Err(error) => return Ok(Head::Malformed(error.to_string())),
        }
    }
    Ok(Head::TooLong)
}

fn answer(head: &Head, metrics: &Metrics) -> String {
    let (method, path) = match head {
        Head::Asked { method, path } => (method.as_str(), path.as_str()),
        Head::Malformed(why) => {
            return respond("400 Bad Request", "", &format!("this is no HTTP request: {why}\n"));
        }
        Head::TooLong => {
            let limit = format!("{HEAD_BYTES_MAX} bytes and {HEADERS_MAX} headers");
            let text = format!("a request may have {limit}\n");
            return respond("431 Request Header Fields Too Large", "", &text);
        }
    };
    if method != "GET" && method != "HEAD" {
        return respond("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "only GET and HEAD are answered\n");
    }
    let mut answer = match (path.split('?').next() == Some(PATH)).then(|| metrics.text()) {
        Some(Some(text)) => respond("200 OK", "", &text),
        Some(None) => respond("503 Service Unavailable", "", "the run has ended\n"),
        None => respond("404 Not Found", "", &format!("there is nothing here; the figures are at {PATH}\n")),
    };
    if method == "HEAD" {
        let head = answer.find("\r\n\r\n").map_or(answer.len(), |end| end + 4);
        answer.truncate(head);
    }
    answer
}

fn respond(status: &str, header: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {}; charset=utf-8\r\nContent-Length: {}\r\n{header}\
         Connection: close\r\n\r\n{body}",
        prometheus::TEXT_FORMAT,
        body.len()
    )
}

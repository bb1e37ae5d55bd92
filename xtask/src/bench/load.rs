//! Requests over a few open connections, as many as the server takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Connections at a time: enough to keep two cores busy.
const CONNECTIONS: usize = 16;

/// Sends `request` (a whole HTTP/1.1 request) over and over for `time` and returns answers per second.
///
/// # Errors
/// When an answer is not 200.
pub(super) fn rate(address: &str, request: &str, time: Duration) -> Result<f64> {
    let begun = Instant::now();
    let counts: Vec<Result<u64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| one_connection(address, request, begun + time)))
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| bail!("a connection panicked"))
            })
            .collect()
    });
    let total: u64 = counts.into_iter().sum::<Result<u64>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    Ok(total as f64 / begun.elapsed().as_secs_f64())
}

/// One open connection, on which requests follow one another.
pub(super) struct Connection {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `address`, `host:port`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(super) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let writer = stream.try_clone()?;
        let reader = BufReader::new(stream);
        Ok(Self { writer, reader })
    }

    /// Sends `request` (a whole HTTP/1.1 request) and reads the answer to its end.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub(super) fn ask(&mut self, request: &str) -> Result<()> {
        self.writer.write_all(request.as_bytes())?;
        read_answer(&mut self.reader)
    }
}

fn one_connection(address: &str, request: &str, end: Instant) -> Result<u64> {
    let mut connection = Connection::open(address)?;
    let mut count = 0;
    while Instant::now() < end {
        connection.ask(request)?;
        count += 1;
    }
    Ok(count)
}

fn read_answer(reader: &mut BufReader<TcpStream>) -> Result<()> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if !line.contains(" 200 ") {
        bail!("the server answered {}", line.trim());
    }
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().context("the length of the answer")?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(())
}

//! Fetches a file from this machine as Yesmail does: by HTTP with Basic authentication, or by FTP.

use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use url::{Host, Url};

/// The place at which a fault cuts a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Not,
    /// After the first piece.
    InTheMiddle,
}

/// Calls `each` with the content, piece by piece.
///
/// # Errors
/// The file is not available or not complete. Any host other than this machine is refused without contacting it.
pub(super) async fn fetch(uri: &Url, cut: Cut, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    match uri.scheme() {
        "http" => http(uri, cut, &mut each).await,
        "ftp" => ftp(uri, cut, &mut each).await,
        _ => Err(io::Error::other("the sandbox fetches over http and ftp only")),
    }
}

fn address(uri: &Url, default_port: u16) -> io::Result<SocketAddr> {
    let ip = match uri.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain("localhost")) => IpAddr::from([127, 0, 0, 1]),
        _ => return Err(io::Error::other("the sandbox fetches from this machine only")),
    };
    if !ip.is_loopback() {
        return Err(io::Error::other("the sandbox fetches from this machine only"));
    }
    Ok(SocketAddr::new(ip, uri.port().unwrap_or(default_port)))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn cut_on_demand() -> io::Error {
    io::Error::other("cut on demand")
}

async fn http(uri: &Url, cut: Cut, each: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let address = address(uri, 80)?;
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let running = tokio::spawn(connection);
    let target = &uri[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = Request::get(target).header(header::HOST, address.to_string());
    if !uri.username().is_empty() {
        let pair = format!("{}:{}", decoded(uri.username()), decoded(uri.password().unwrap_or("")));
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let fetched = async {
        let mut answer = sender.send_request(request).await.map_err(io::Error::other)?;
        if answer.status() != hyper::StatusCode::OK {
            return Err(io::Error::other(format!("status {}", answer.status().as_u16())));
        }
        while let Some(frame) = answer.frame().await {
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                each(&data);
            }
            if cut == Cut::InTheMiddle {
                return Err(cut_on_demand());
            }
        }
        match cut {
            Cut::Not => Ok(()),
            Cut::InTheMiddle => Err(cut_on_demand()),
        }
    };
    let fetched = fetched.await;
    running.abort();
    fetched
}

async fn ftp(uri: &Url, cut: Cut, each: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let address = address(uri, 21)?;
    let mut control = BufReader::new(TcpStream::connect(address).await?);
    let user = if uri.username().is_empty() { "anonymous".to_owned() } else { decoded(uri.username()) };
    reply(&mut control, &[220]).await?;
    if say(&mut control, &format!("USER {user}"), &[230, 331]).await?.0 == 331 {
        say(&mut control, &format!("PASS {}", decoded(uri.password().unwrap_or(""))), &[230, 202]).await?;
    }
    say(&mut control, "TYPE I", &[200]).await?;
    let (_, text) = say(&mut control, "PASV", &[227]).await?;
    let numbers: Vec<u16> = text
        .rsplit_once('(')
        .map_or("", |(_, rest)| rest.split(')').next().unwrap_or(""))
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    let [.., high, low] = numbers[..] else { return Err(io::Error::other("PASV was answered without a port")) };
    let mut data = TcpStream::connect((address.ip(), high.wrapping_mul(256).wrapping_add(low))).await?;
    let path = decoded(uri.path().trim_start_matches('/'));
    say(&mut control, &format!("RETR {path}"), &[125, 150]).await?;
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = data.read(&mut piece).await?;
        if read == 0 {
            break;
        }
        each(&piece[..read]);
        if cut == Cut::InTheMiddle {
            return Err(cut_on_demand());
        }
    }
    drop(data);
    // the end of the data connection alone proves nothing
    reply(&mut control, &[226, 250]).await?;
    let _ = control.write_all(b"QUIT\r\n").await;
    Ok(())
}

async fn say(control: &mut BufReader<TcpStream>, line: &str, wanted: &[u16]) -> io::Result<(u16, String)> {
    if line.contains(['\r', '\n']) {
        return Err(io::Error::other("a line end in an FTP command"));
    }
    control.write_all(format!("{line}\r\n").as_bytes()).await?;
    reply(control, wanted).await
}

/// Returns the last line of a reply.
async fn reply(control: &mut BufReader<TcpStream>, wanted: &[u16]) -> io::Result<(u16, String)> {
    for _ in 0..100 {
        let mut line = String::new();
        if (&mut *control).take(4096).read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
        if let (Some(code), Some(" " | "\r" | "\n")) = (code, line.get(3..4)) {
            return match wanted.contains(&code) {
                true => Ok((code, line)),
                false => Err(io::Error::other(format!("FTP answered {code}"))),
            };
        }
    }
    Err(io::Error::other("an endless FTP reply"))
}

//! An FTP server in memory that reports each moment of a session. Shares no code with the client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Called at each moment; if it returns false, the server closes the session there.
pub(crate) type Moments = Arc<dyn Fn(String) -> bool + Send + Sync>;

/// How the server handles a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renames {
    /// An existing file is replaced.
    Replace,
    /// An existing file stays: 550.
    OntoNothing,
    /// As `OntoNothing`, and an existing file cannot be renamed either.
    OfNewOnly,
    /// As `OntoNothing`, and nothing can be renamed to the list's name unless it had it before.
    NeverToList,
}

pub(crate) struct Ftp {
    pub(crate) address: String,
    /// The stored files by path. A file exists as soon as its first byte has come, as with real servers.
    pub(crate) files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Ftp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ftp {
    pub(crate) async fn start(moments: Moments) -> Ftp {
        Ftp::start_with(moments, Renames::Replace).await
    }

    pub(crate) async fn start_with(moments: Moments, renames: Renames) -> Ftp {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let stored = Arc::clone(&files);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (files, moments) = (Arc::clone(&stored), Arc::clone(&moments));
                // a client that closes the connection ends its session
                tokio::spawn(async move { session(stream, files, moments, renames).await.ok() });
            }
        });
        Ftp { address, files, task }
    }
}

async fn session(
    stream: TcpStream,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    moments: Moments,
    renames: Renames,
) -> std::io::Result<()> {
    let mut control = BufReader::new(stream);
    control.write_all(b"220 ready\r\n").await?;
    let (mut passive, mut from) = (None, String::new());
    loop {
        let mut line = String::new();
        if control.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (verb, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        if !moments(format!("ftp {verb}")) {
            return Ok(());
        }
        let path = rest.trim_start_matches('/').to_owned();
        let reply = match verb {
            "USER" => "331 password please".to_owned(),
            "PASS" => "230 come in".to_owned(),
            "TYPE" | "NOOP" => "200 fine".to_owned(),
            "PASV" => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let port = listener.local_addr()?.port();
                passive = Some(listener);
                format!("227 Entering Passive Mode (127,0,0,1,{},{})", port / 256, port % 256)
            }
            "STOR" => {
                control.write_all(b"150 send it\r\n").await?;
                let Some(listener) = passive.take() else { return Ok(()) };
                let (mut data, _) = listener.accept().await?;
                files.lock().unwrap().insert(path.clone(), Vec::new());
                let (mut piece, mut reported) = (vec![0; 64 << 10], false);
                loop {
                    let n = data.read(&mut piece).await?;
                    if n == 0 {
                        break;
                    }
                    files.lock().unwrap().get_mut(&path).unwrap().extend_from_slice(&piece[..n]);
                    if !reported && !moments("ftp data".to_owned()) {
                        return Ok(());
                    }
                    reported = true;
                }
                if !moments("ftp data whole".to_owned()) {
                    return Ok(());
                }
                "226 stored".to_owned()
            }
            "RETR" => {
                let Some(file) = files.lock().unwrap().get(&path).cloned() else { return Ok(()) };
                let Some(listener) = passive.take() else { return Ok(()) };
                control.write_all(b"150 here it comes\r\n").await?;
                let (mut data, _) = listener.accept().await?;
                data.write_all(&file).await?;
                data.shutdown().await?;
                "226 sent".to_owned()
            }
            "SIZE" => match files.lock().unwrap().get(&path) {
                Some(file) => format!("213 {}", file.len()),
                None => "550 no such file".to_owned(),
            },
            "RNFR" if renames == Renames::OfNewOnly && !path.ends_with(".part") => "550 not that one".to_owned(),
            "RNFR" => {
                from = path;
                "350 and to what".to_owned()
            }
            "RNTO" => {
                let mut files = files.lock().unwrap();
                let is_old = from.ends_with(".old");
                let refused = match renames {
                    Renames::Replace => false,
                    Renames::OntoNothing | Renames::OfNewOnly => files.contains_key(&path),
                    Renames::NeverToList => files.contains_key(&path) || (path.ends_with(".csv") && !is_old),
                };
                let moved = if refused { None } else { files.remove(&from) };
                match moved {
                    Some(file) => {
                        files.insert(path, file);
                        "250 renamed".to_owned()
                    }
                    None => "550 no such file".to_owned(),
                }
            }
            "DELE" => match files.lock().unwrap().remove(&path) {
                Some(_) => "250 gone".to_owned(),
                None => "550 no such file".to_owned(),
            },
            "QUIT" => "221 bye".to_owned(),
            _ => "502 what".to_owned(),
        };
        // done, but the client does not know it yet
        if verb == "RNTO" && !moments("ftp renamed".to_owned()) {
            return Ok(());
        }
        control.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
}

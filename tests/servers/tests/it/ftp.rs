//! Sends a list to a real FTP server.

use crate::list::{List, client, yesmail};
use async_trait::async_trait;
use libunftp::ServerBuilder;
use libunftp::options::FtpsRequired;
use listferry::Kind;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use unftp_core::auth::{AuthenticationError, Authenticator, Credentials, Principal};
use unftp_sbe_fs::Filesystem;

/// Accepts the user ann with her password, and anonymous.
#[derive(Debug)]
struct Door;

#[async_trait]
impl Authenticator for Door {
    async fn authenticate(&self, username: &str, creds: &Credentials) -> Result<Principal, AuthenticationError> {
        match (username, creds.password.as_deref()) {
            ("ann", Some("p@ss word")) | ("anonymous", _) => Ok(Principal { username: username.to_owned() }),
            ("ann", _) => Err(AuthenticationError::BadPassword),
            _ => Err(AuthenticationError::BadUser),
        }
    }
}

/// Returns the server's address and folder.
async fn server() -> (String, tempfile::TempDir) {
    let (address, folder, _) = server_at("127.0.0.1:0", false).await.unwrap();
    (address, folder)
}

/// Starts a server on that address, with TLS required if wanted; returns its address, folder and certificate. `None` if
/// this machine does not have the address.
async fn server_at(at: &str, tls: bool) -> Option<(String, tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lists")).unwrap();
    let root: PathBuf = folder.path().to_owned();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let keys = tempfile::tempdir().unwrap();
    let (cert, key) = (keys.path().join("c.pem"), keys.path().join("k.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let listener = TcpListener::bind(at).await.ok()?;
    let address = listener.local_addr().unwrap().to_string();
    let ca = cert.clone();
    tokio::spawn(async move {
        let _keys = keys;
        while let Ok((stream, _)) = listener.accept().await {
            let root = root.clone();
            let storage = Box::new(move || Filesystem::new(root.clone()).unwrap());
            let mut builder = ServerBuilder::with_authenticator(storage, Arc::new(Door));
            if tls {
                builder = builder.ftps(&cert, &key).ftps_required(FtpsRequired::All, FtpsRequired::All);
            }
            tokio::spawn(builder.build().unwrap().service(stream));
        }
    });
    Some((address, folder, ca))
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_arrives_whole_under_its_name_and_replaces_an_old_one() {
    let (address, folder) = server().await;
    let (base, uris) = yesmail().await;
    std::fs::write(folder.path().join("lists/vip list.csv"), "old").unwrap();
    let host = json!({"ftp": {"url": format!("ftp://ann@{address}/lists/vip%20list.csv"), "password": "p@ss word"}});
    let list = List::new(&base, host);
    list.deliver(&client(None)).await.unwrap();
    let arrived = std::fs::read(folder.path().join("lists/vip list.csv")).unwrap();
    assert!(arrived == List::expected(), "{} bytes arrived", arrived.len());
    assert_eq!(names(&folder.path().join("lists")), ["vip list.csv"]);
    let uri = format!("ftp://ann:p%40ss%20word@{address}/lists/vip%20list.csv");
    assert_eq!(*uris.lock().unwrap(), [uri]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_anonymous_server_needs_no_user_name() {
    let (address, folder) = server().await;
    let (base, uris) = yesmail().await;
    let list = List::new(&base, json!({"ftp": {"url": format!("ftp://{address}/vip.csv")}}));
    list.deliver(&client(None)).await.unwrap();
    assert!(std::fs::read(folder.path().join("vip.csv")).unwrap() == List::expected());
    assert_eq!(*uris.lock().unwrap(), [format!("ftp://{address}/vip.csv")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_a_missing_folder_import_nothing() {
    let (address, folder) = server().await;
    let (base, uris) = yesmail().await;
    let list = List::new(&base, json!({"ftp": {"url": format!("ftp://ann:wrong-canary@{address}/vip.csv")}}));
    let error = list.deliver(&client(None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Credentials, "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));
    let list = List::new(&base, json!({"ftp": {"url": format!("ftp://{address}/nowhere/vip.csv")}}));
    let error = list.deliver(&client(None)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Refused | Kind::Transient), "{error}");
    assert!(uris.lock().unwrap().is_empty());
    assert_eq!(names(folder.path()), ["lists"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_changed_never_gets_the_lists_name() {
    let (address, folder) = server().await;
    let (base, uris) = yesmail().await;
    std::fs::write(folder.path().join("vip.csv"), "old").unwrap();
    let list = List::new(&base, json!({"ftp": {"url": format!("ftp://{address}/vip.csv")}}));
    let mut text = std::fs::read(&list.source).unwrap();
    let last = text.len() - 5;
    text[last] ^= 1;
    std::fs::write(&list.source, text).unwrap();
    assert_eq!(list.deliver(&client(None)).await.unwrap_err().kind(), Kind::SourceChanged);
    assert_eq!(std::fs::read(folder.path().join("vip.csv")).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["lists", "vip.csv"]);
    assert!(uris.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_a_passing_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (base, _) = yesmail().await;
    let list = List::new(&base, json!({"ftp": {"url": format!("ftp://{address}/vip.csv")}}));
    assert_eq!(list.deliver(&client(None)).await.unwrap_err().kind(), Kind::Transient);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_the_list_arrives_and_yesmail_gets_another_address() {
    let (address, folder, ca) = server_at("127.0.0.1:0", true).await.unwrap();
    let port = address.rsplit_once(':').unwrap().1;
    let (base, uris) = yesmail().await;
    let url = format!("ftps://ann@localhost:{port}/vip.csv");
    let host = json!({"ftp": {"url": url, "password": "p@ss word", "fetch_url": "https://files.example/vip.csv"}});
    let list = List::new(&base, host.clone());
    list.deliver(&client(Some(ca))).await.unwrap();
    assert!(std::fs::read(folder.path().join("vip.csv")).unwrap() == List::expected());
    assert_eq!(names(folder.path()), ["lists", "vip.csv"]);
    assert_eq!(*uris.lock().unwrap(), ["https://files.example/vip.csv"]);
    // an untrusted certificate: not even the user's name is sent
    let (address, folder, _) = server_at("127.0.0.1:0", true).await.unwrap();
    let port = address.rsplit_once(':').unwrap().1;
    let url = format!("ftps://ann@localhost:{port}/vip.csv");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, other.cert.pem()).unwrap();
    let list = List::new(&base, json!({"ftp": {"url": url, "password": "p@ss word"}}));
    let error = list.deliver(&client(Some(ca))).await.unwrap_err();
    assert!(error.kind() == Kind::Refused && error.hint().is_some_and(|hint| hint.contains("ca_file")), "{error}");
    assert_eq!((names(folder.path()), uris.lock().unwrap().len()), (vec!["lists".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_wants_tls_is_answered_with_the_scheme_that_has_it() {
    let (address, _folder, _) = server_at("127.0.0.1:0", true).await.unwrap();
    let (base, _) = yesmail().await;
    let list =
        List::new(&base, json!({"ftp": {"url": format!("ftp://ann@{address}/vip.csv"), "password": "p@ss word"}}));
    let error = list.deliver(&client(None)).await.unwrap_err();
    assert!(format!("{error} {:?}", error.hint()).contains("ftps://"), "{error} {:?}", error.hint());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_ipv6_the_list_arrives_too() {
    let Some((address, folder, _)) = server_at("[::1]:0", false).await else {
        return;
    };
    let (base, uris) = yesmail().await;
    let list = List::new(&base, json!({"ftp": {"url": format!("ftp://{address}/vip.csv")}}));
    list.deliver(&client(None)).await.unwrap();
    assert!(std::fs::read(folder.path().join("vip.csv")).unwrap() == List::expected());
    assert_eq!(*uris.lock().unwrap(), [format!("ftp://{address}/vip.csv")]);
}

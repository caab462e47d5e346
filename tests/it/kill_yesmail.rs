//! Kills the process at each moment of a list sent by FTP, and of one that Yesmail pulls from it. The same job again
//! delivers the whole list and imports it once, or reports that it does not know (21) and does nothing.

use crate::ftp::{Ftp, Renames};
use crate::kill::{ROWS, ends, listferry};
use crate::scripted::{Does, Seen, Vendor};
use base64::Engine as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Counts the moments of all servers together and kills the process at one of them.
#[derive(Default)]
pub(crate) struct Killer {
    at: Option<usize>,
    moments: Mutex<Vec<String>>,
    child: Mutex<Option<Child>>,
}

impl Killer {
    /// Returns false if the process was killed, so that the server stops, too.
    fn moment(&self, name: String) -> bool {
        let index = {
            let mut moments = self.moments.lock().unwrap();
            moments.push(name);
            moments.len() - 1
        };
        if Some(index) == self.at
            && let Some(mut child) = self.child.lock().unwrap().take()
        {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        true
    }

    /// Waits until the process was killed or has ended; returns true if it was killed.
    async fn killed(&self) -> bool {
        for _ in 0..600 {
            {
                let mut child = self.child.lock().unwrap();
                let Some(child) = child.as_mut() else { return true };
                if child.try_wait().unwrap().is_some() {
                    return false;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it neither ended nor was killed");
    }
}

/// The lists that Yesmail pulled from the first address that it was given, as often as it accepts it.
#[derive(Default)]
struct Pulled {
    begun: bool,
    list: Option<Vec<u8>>,
}

fn expected() -> Vec<u8> {
    let mut list = String::from("id\tname\n");
    for row in 0..ROWS {
        list.push_str(&format!("user-{row:08}\tName of number {row}\n"));
    }
    list.into_bytes()
}

/// Makes one GET; returns the body if it arrived completely.
pub(crate) fn pull(uri: &str, killer: &Killer) -> Option<Vec<u8>> {
    let (user_info, rest) = uri.strip_prefix("http://")?.split_once('@')?;
    let (host, path) = rest.split_once('/')?;
    let token = base64::engine::general_purpose::STANDARD.encode(user_info);
    let mut stream = std::net::TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    if !killer.moment("pull connected".to_owned()) {
        return None;
    }
    let head =
        format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = vec![0; 64 << 10];
    stream.read_exact(&mut bytes).ok()?;
    if !killer.moment("pull half".to_owned()) {
        return None;
    }
    stream.read_to_end(&mut bytes).ok()?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length: usize = head.split("content-length: ").nth(1)?.split('\r').next()?.parse().ok()?;
    let body = bytes.split_off(end);
    (head.starts_with("http/1.1 200") && body.len() == length).then_some(body)
}

/// Yesmail: accepts the import, pulls what is served over HTTP, and is done when it has it.
async fn yesmail(killer: &Arc<Killer>, pulled: &Arc<Mutex<Pulled>>) -> Vendor {
    let (watcher, puller, pulled) = (Arc::clone(killer), Arc::clone(killer), Arc::clone(pulled));
    let script = move |seen: &Seen, _: usize, _: &str| {
        if !seen.line.starts_with("POST") {
            let done = pulled.lock().unwrap().list.is_some();
            let state = if done { "completed" } else { "processing" };
            return Does::Answer(200, format!(r#"{{"id": "t-1", "state": "{state}"}}"#));
        }
        let request: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        let uri = request["source"]["uri"].as_str().unwrap().to_owned();
        let mut state = pulled.lock().unwrap();
        if uri.starts_with("ftp:") {
            state.list = Some(Vec::new());
        } else if !std::mem::replace(&mut state.begun, true) {
            let (pulled, killer) = (Arc::clone(&pulled), Arc::clone(&puller));
            std::thread::spawn(move || {
                for _ in 0..600 {
                    if let Some(list) = pull(&uri, &killer) {
                        pulled.lock().unwrap().list = Some(list);
                        killer.moment("pull whole".to_owned());
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned())
    };
    Vendor::start(script, Arc::new(move |index, point| watcher.moment(format!("request {index} {point:?}")))).await
}

fn write_job(dir: &Path, base: &str, host: &str) {
    let mut list = String::from("id,name\n");
    for row in 0..ROWS {
        list.push_str(&format!("user-{row:08},Name of number {row}\n"));
    }
    std::fs::write(dir.join("list.csv"), list).unwrap();
    let job = format!(
        "source: {{ path: list.csv }}\nmap: {{ id: id, name: name }}\ndestination: {{ platform: yesmail, base_url: \
         \"{base}\", list: members, api_user: {{ env: KEY }}, api_key: {{ env: KEY }}, host: {{ {host} }} }}\n"
    );
    std::fs::write(dir.join("job.yaml"), job).unwrap();
}

fn by_ftp_to(ftp: &Ftp) -> String {
    format!("ftp: {{ url: \"ftp://ann:pw@{}/dir/list.csv\" }}", ftp.address)
}

/// How the list becomes reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// By FTP, to a server that has a list already.
    Ftp(Renames),
    Serve,
}

const OLD: &[u8] = b"id\tname\nold\tOld\n";

/// Runs, kills at moment `at`, runs again. Returns the moments of the first run (an unbroken one if `at` is none), and
/// whether it was killed.
async fn scene(by: By, at: Option<usize>) -> (Vec<String>, bool) {
    let dir = tempfile::tempdir().unwrap();
    let killer = Arc::new(Killer { at, ..Killer::default() });
    let pulled: Arc<Mutex<Pulled>> = Arc::default();
    let vendor = yesmail(&killer, &pulled).await;
    let watcher = Arc::clone(&killer);
    let (by_ftp, renames) = match by {
        By::Ftp(renames) => (true, renames),
        By::Serve => (false, Renames::Replace),
    };
    let ftp = Ftp::start_with(Arc::new(move |name| watcher.moment(name)), renames).await;
    ftp.files.lock().unwrap().insert("dir/list.csv".to_owned(), OLD.to_vec());
    let host = match by_ftp {
        true => by_ftp_to(&ftp),
        false => "serve: { listen: \"127.0.0.1:0\", public_url: auto }".to_owned(),
    };
    write_job(dir.path(), &vendor.base, &host);
    {
        // the moments wait for the child to be stored
        let mut slot = killer.child.lock().unwrap();
        *slot = Some(listferry(dir.path(), &vendor.base, &["run", "job.yaml"]).spawn().unwrap());
    }
    let killed = killer.killed().await;
    let moments = killer.moments.lock().unwrap().clone();
    let here = at.map_or_else(|| "unbroken".to_owned(), |at| format!("{by:?} {at} {:?}", moments.get(at)));
    let posts = || vendor.of("POST ").len();
    if by_ftp {
        let files = ftp.files.lock().unwrap().clone();
        let whole = files.iter().any(|(_, list)| list == OLD) || files.get("dir/list.csv") == Some(&expected());
        assert!(whole, "{here}: neither the old list nor the new one is there");
    }
    if killed {
        let before = posts();
        let (code, output) = ends(listferry(dir.path(), &vendor.base, &["run", "job.yaml"])).await;
        if code == 21 {
            let at = at.and_then(|at| moments.get(at)).unwrap();
            // a served list may be pulled before the answer to the import has been stored, and the process does not
            // wait for a goodbye
            let importing = at.starts_with("request") || at == "ftp QUIT" || (!by_ftp && at.starts_with("pull"));
            assert!(importing && posts() == before, "{here}: {output}");
            let assume = if before == 0 { "repeat" } else { "done" };
            let resume = ["resume", "last", "--assume", assume, "--set", "wait=5s"];
            let (code, output) = ends(listferry(dir.path(), &vendor.base, &resume)).await;
            // a client that already had the list when the process was killed does not come again, nor does one that
            // never heard of it
            let is_unpulled = !by_ftp && before == 1 && (at == "pull whole" || !pulled.lock().unwrap().begun);
            assert!(posts() == 1 && (code == 0 || is_unpulled && code == 22), "{here}: {code} {output}");
        } else {
            assert_eq!((code, posts()), (0, 1), "{here}: {output}");
        }
        if code == 21 && before == 1 {
            // the ticket of an assumed import is unknown, so the run does not wait for the pull
            return (moments, true);
        }
    } else {
        let mut child = killer.child.lock().unwrap().take().unwrap();
        assert!(child.wait().unwrap().success() && posts() == 1, "{here}");
    }
    let files = ftp.files.lock().unwrap().clone();
    match by_ftp {
        true => {
            assert_eq!(files.keys().collect::<Vec<_>>(), ["dir/list.csv"], "{here}: there is no other file");
            assert!(files["dir/list.csv"] == expected(), "{here}: another list arrived");
        }
        false => assert!(pulled.lock().unwrap().list.as_deref() == Some(&expected()[..]), "{here}: another list"),
    }
    (moments, killed)
}

/// Kills at each moment from the first of that name on.
async fn everywhere(by: By, from: &str, least: usize) {
    let (moments, _) = scene(by, None).await;
    let first = moments.iter().position(|moment| moment.starts_with(from)).unwrap();
    assert!(moments.len() - first >= least, "{moments:?}");
    let mut killed = 0;
    for at in first..moments.len() {
        killed += usize::from(scene(by, Some(at)).await.1);
    }
    // the last moments may come when the process has already ended, more of them on a busy machine
    assert!(3 * killed >= 2 * (moments.len() - first), "{killed} of {} from {first}", moments.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_sent_by_ftp_and_killed_anywhere_arrives_and_is_imported_once() {
    everywhere(By::Ftp(Renames::Replace), "", 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_list_renamed_aside_is_never_lost_and_always_removed() {
    everywhere(By::Ftp(Renames::OntoNothing), "ftp RNFR", 14).await;
}

#[tokio::test]
async fn a_list_that_cannot_be_replaced_stays() {
    for renames in [Renames::OfNewOnly, Renames::NeverToList] {
        let dir = tempfile::tempdir().unwrap();
        let vendor = yesmail(&Arc::default(), &Arc::default()).await;
        let ftp = Ftp::start_with(Arc::new(|_| true), renames).await;
        ftp.files.lock().unwrap().insert("dir/list.csv".to_owned(), OLD.to_vec());
        write_job(dir.path(), &vendor.base, &by_ftp_to(&ftp));
        let (code, output) = ends(listferry(dir.path(), &vendor.base, &["run", "job.yaml"])).await;
        assert_eq!(code, 12, "{renames:?}: {output}");
        assert!(output.contains("the previous list was not changed"), "{output}");
        assert!(vendor.of("POST ").is_empty(), "{renames:?}");
        let files = ftp.files.lock().unwrap().clone();
        assert_eq!(files.into_iter().collect::<Vec<_>>(), [("dir/list.csv".to_owned(), OLD.to_vec())], "{renames:?}");
    }
}

#[tokio::test]
async fn a_list_that_stepped_aside_gets_its_name_back_after_the_last_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let vendor = yesmail(&Arc::default(), &Arc::default()).await;
    // the session is lost while the list has only its second name
    let renames = Mutex::new(0);
    let moments = move |moment: String| {
        let mut renames = renames.lock().unwrap();
        *renames += usize::from(moment == "ftp renamed");
        moment != "ftp renamed" || *renames != 2
    };
    let ftp = Ftp::start_with(Arc::new(moments), Renames::OntoNothing).await;
    ftp.files.lock().unwrap().insert("dir/list.csv".to_owned(), OLD.to_vec());
    write_job(dir.path(), &vendor.base, &by_ftp_to(&ftp));
    let once = ["run", "job.yaml", "--set", "upload.attempts=1"];
    let (code, output) = ends(listferry(dir.path(), &vendor.base, &once)).await;
    assert_eq!(code, 20, "{output}");
    let lists = |ftp: &Ftp| {
        let files = ftp.files.lock().unwrap().clone();
        files.into_iter().filter(|(name, _)| !name.ends_with(".part")).collect::<Vec<_>>()
    };
    assert_eq!(lists(&ftp), [("dir/list.csv".to_owned(), OLD.to_vec())]);
    let (code, output) = ends(listferry(dir.path(), &vendor.base, &once)).await;
    assert_eq!(code, 0, "{output}");
    assert!(lists(&ftp) == [("dir/list.csv".to_owned(), expected())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_served_list_killed_anywhere_is_pulled_from_the_same_address() {
    everywhere(By::Serve, "", 9).await;
}

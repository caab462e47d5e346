//! The environment of a simulated process: a state directory and a source on a file system in memory, simulated time,
//! seeded random numbers, and ways to kill the process.

use crate::net::{Connector, Net};
use crate::plan::{Content, Kind, Plan, Stop};
use crate::rng::Rng;
use crate::vendor::{BASE, KEY, SECRET, Vendor};
use listferry::calls::{BoxFuture, Clock};
use listferry::job::world::{Connected, World, Write};
use listferry::job::{Env, Job, Report};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The simulated time at which every simulation begins.
fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_727_400)
}

/// Simulated time: that of the paused runtime, plus the pauses between invocations.
#[derive(Clone)]
pub(crate) struct SimClock {
    began: Instant,
    skipped: Arc<AtomicU64>,
    cancel: Arc<Notify>,
}

impl SimClock {
    fn since(&self) -> Duration {
        self.began.elapsed() + Duration::from_millis(self.skipped.load(Ordering::Relaxed))
    }
}

impl Clock for SimClock {
    fn wall(&self) -> SystemTime {
        epoch() + self.since()
    }

    fn elapsed(&self) -> Duration {
        self.since()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn look_again(&self) -> BoxFuture<'_, ()> {
        // a notification always comes from the user who stops the run
        Box::pin(self.cancel.notified())
    }
}

/// The files of a state directory at the moment when a process is killed.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// The panic payload that kills a process.
struct Killed;

/// The way in which the current invocation is stopped.
struct Watch {
    stop: Option<Stop>,
    writes: AtomicU32,
    state: PathBuf,
    kept: Mutex<Option<Files>>,
}

impl Watch {
    fn notice(&self, write: Write) {
        let n = match write {
            Write::Begins => self.writes.fetch_add(1, Ordering::Relaxed) + 1,
            Write::Done => self.writes.load(Ordering::Relaxed),
        };
        let hit = match (self.stop, write) {
            (Some(Stop::BeforeWrite(at)), Write::Begins) | (Some(Stop::AfterWrite(at)), Write::Done) => at == n,
            _ => false,
        };
        if hit {
            self.keep();
            std::panic::resume_unwind(Box::new(Killed));
        }
    }

    /// Stores the files as they are now; later writes by destructors are undone.
    fn keep(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(read_all(&self.state));
    }
}

fn read_names(dir: &Path) -> Vec<PathBuf> {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir { &mut dirs } else { &mut files }.push(entry.path());
        }
    }
    files.sort();
    files
}

fn read_all(dir: &Path) -> Files {
    read_names(dir).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap_or_default())).collect()
}

/// Makes the files of a directory those that it had. Files that are there already are overwritten, not replaced, because
/// a connection has the database open. It notices by `count`, which becomes the database's counter of changes.
fn restore(dir: &Path, files: &Files, count: u32) {
    let there = read_names(dir);
    for path in there.iter().filter(|path| !files.iter().any(|(kept, _)| kept == *path)) {
        std::fs::remove_file(path).expect("a file");
    }
    for (path, bytes) in files {
        if !there.contains(path) {
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        }
        let mut bytes = bytes.clone();
        if path.ends_with(DATABASE) {
            // the counter, and the value of it for which the number of pages is valid
            bytes[24..28].copy_from_slice(&count.to_be_bytes());
            bytes[92..96].copy_from_slice(&count.to_be_bytes());
        }
        std::fs::write(path, bytes).expect("a file");
    }
}

const DATABASE: &str = "state.db";

/// Opens the database once for all simulations of a room, because opening it, and preparing its statements, takes longer
/// than a simulated process. Nothing is synced or journaled on the disk: a process is killed between transactions only,
/// and the files are those of that moment.
fn connect(state: &Path) -> Connected {
    use rusqlite::{Connection, OpenFlags};
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // no locks: one process has the file open
    let db = Connection::open_with_flags_and_vfs(state.join(DATABASE), flags, c"unix-none").expect("a database");
    db.set_prepared_statement_cache_capacity(128);
    db.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA journal_mode = MEMORY;",
    )
    .expect("its settings");
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("a setting");
    Arc::new(Mutex::new(db))
}

/// Lets go of the file while `work` replaces it. Otherwise the connection does not look at the file for changes.
fn replacing(connection: &Connected, work: impl FnOnce()) {
    let db = connection.lock().unwrap_or_else(PoisonError::into_inner);
    db.execute_batch("PRAGMA locking_mode = NORMAL; SELECT count(*) FROM runs;").expect("a connection");
    work();
    db.execute_batch("PRAGMA locking_mode = EXCLUSIVE;").expect("a connection");
}

/// The end of an invocation.
pub(crate) enum Ended {
    /// It returned a report.
    Report(Box<Report>),
    /// It was killed.
    Killed,
    /// It panicked.
    Panicked(String),
}

/// A folder for the simulations of one thread, one after the other.
pub(crate) struct Room {
    dir: PathBuf,
    /// A state as created by `runs init`.
    fresh: Files,
    connection: Connected,
}

impl Room {
    pub(crate) fn new(name: &str) -> Room {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = root.join(format!("listferry-sim-{}-{name}", std::process::id()));
        let mut env = Env::default();
        env.state_dir = Some(dir.join("state"));
        listferry::job::init(&env, false).expect("a state");
        let fresh = read_all(&dir.join("state"));
        let connection = connect(&dir.join("state"));
        Room { dir, fresh, connection }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The environment of one simulation.
pub(crate) struct Bed {
    dir: PathBuf,
    job: Job,
    pub(crate) clock: SimClock,
    pub(crate) connector: Connector,
    draws: Arc<AtomicU64>,
    seed: u64,
    pub(crate) connection: Connected,
    kills: AtomicU32,
    pub(crate) content: Content,
    /// Lines about open runs.
    pub(crate) announced: Arc<Mutex<Vec<String>>>,
}

impl Bed {
    /// Creates the environment; needs a runtime with paused time.
    pub(crate) fn new(room: &Room, plan: &Plan, trace: bool) -> Bed {
        replacing(&room.connection, || restore(&room.dir.join("state"), &room.fresh, 0));
        let clock = SimClock { began: Instant::now(), skipped: Arc::default(), cancel: Arc::default() };
        let now = clock.clone();
        let net = Net::new(Vendor::of(plan), plan.seed, plan.choppy, Arc::new(move || now.since()), trace);
        let file = room.dir.join("job.yaml");
        std::fs::write(&file, job_file(plan)).expect("a job file");
        let job = Job::open(&file).expect("a job");
        let content = Content { version: 0, rows: plan.rows, bad: false };
        let connector = Connector(Arc::new(Mutex::new(net)));
        let (draws, announced) = (Arc::default(), Arc::default());
        let (dir, seed, connection) = (room.dir.clone(), plan.seed, Arc::clone(&room.connection));
        let mut bed =
            Bed { dir, job, clock, connector, draws, seed, connection, kills: AtomicU32::new(0), content, announced };
        bed.write_source(content);
        bed
    }

    /// Replaces the content of the source; equal contents have equal times.
    pub(crate) fn write_source(&mut self, content: Content) {
        let Content { version, rows, bad } = content;
        let mut text = String::from("id,op\n");
        for row in 0..rows {
            text.push_str(&format!("u{version}-{row:05},UPDATE\n"));
        }
        if bad {
            text.push_str("one,cell,too many\n");
        }
        let path = self.dir.join("list.csv");
        std::fs::write(&path, text).expect("a source");
        let file = std::fs::File::options().write(true).open(&path).expect("a source");
        let modified = epoch() + Duration::from_secs(u64::from(version) * 1000 + u64::from(bad));
        file.set_modified(modified).expect("its time");
        self.content = content;
    }

    /// Lets time pass between invocations.
    pub(crate) fn skip(&self, seconds: u64) {
        self.clock.skipped.fetch_add(seconds * 1000, Ordering::Relaxed);
        let now = self.connector.net().now();
        self.connector.net().vendor.pass(now);
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub(crate) fn env(&self) -> Env {
        let mut env = Env::default();
        env.state_dir = Some(self.state_dir());
        env.writes_report = true;
        env.options.threads = 1;
        env.options.in_line = true;
        env.options.chunk_bytes = 8 << 10;
        env.variables = Arc::new(|name| match name {
            "KEY" => Some(KEY.to_owned()),
            "SECRET" => Some(SECRET.to_owned()),
            "PUT_URL" => Some(format!("{BASE}/files/list.csv?sig=canary-signature-ab12cd34")),
            _ => None,
        });
        let announced = Arc::clone(&self.announced);
        env.announce = Some(Arc::new(move |text| announced.lock().expect("a list").push(text.to_owned())));
        let (draws, seed) = (Arc::clone(&self.draws), self.seed);
        env.world = World { clock: Arc::new(self.clock.clone()), ..World::default() };
        env.world.memory = || 0;
        env.world.connection = Some(Arc::clone(&self.connection));
        env.world.dial = Some(Arc::new(self.connector.clone()));
        env.world.draw = Arc::new(move |bytes| {
            let mut rng = Rng::new(seed, 2000 + draws.fetch_add(1, Ordering::Relaxed));
            bytes.iter_mut().for_each(|byte| *byte = rng.next() as u8);
            Ok(())
        });
        env
    }

    /// Opens the state as the next process would, with all its checks.
    fn open_anew(&self) {
        let mut env = Env::default();
        env.state_dir = Some(self.state_dir());
        listferry::job::state(&env).map(drop).expect("the state that a killed process left");
    }

    /// Runs one invocation; returns its end and the number of polls.
    pub(crate) async fn invoke<'j, F>(
        &'j self,
        env: &'j mut Env,
        stop: Option<Stop>,
        begin: impl FnOnce(&'j Job, &'j Env) -> F,
    ) -> Ended
    where
        F: Future<Output = Report> + Send + 'j,
    {
        let watch =
            Arc::new(Watch { stop, writes: AtomicU32::new(0), state: self.state_dir(), kept: Mutex::default() });
        let kill = Arc::clone(&watch);
        env.world.watch = Some(Arc::new(move |write| kill.notice(write)));
        let env: &'j Env = env;
        let cancelled: &AtomicBool = &env.progress().cancelled;
        let life = Life { work: Some(Box::pin(begin(&self.job, env))), polls: 0, stop, watch: &watch };
        let ended = life.watched(cancelled, &self.clock.cancel).await;
        if let (Ended::Killed, Some(files)) = (&ended, watch.kept.lock().unwrap_or_else(PoisonError::into_inner).take())
        {
            // a simulation makes fewer than a thousand changes
            let kills = self.kills.fetch_add(1, Ordering::Relaxed) + 1;
            replacing(&self.connection, || restore(&self.state_dir(), &files, kills * 1000));
            self.open_anew();
        }
        ended
    }
}

/// A process, which is polled until it ends or is stopped.
struct Life<'j> {
    work: Option<Pin<Box<dyn Future<Output = Report> + Send + 'j>>>,
    polls: u32,
    stop: Option<Stop>,
    watch: &'j Watch,
}

impl Life<'_> {
    async fn watched(mut self, cancelled: &AtomicBool, cancel: &Notify) -> Ended {
        std::future::poll_fn(move |cx| self.poll(cx, cancelled, cancel)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, cancelled: &AtomicBool, cancel: &Notify) -> Poll<Ended> {
        self.polls += 1;
        match self.stop {
            Some(Stop::AtPoll(at)) if at == self.polls => {
                self.watch.keep();
                self.work = None;
                return Poll::Ready(Ended::Killed);
            }
            Some(Stop::Cancel(at)) if at == self.polls => {
                cancelled.store(true, Ordering::Relaxed);
                cancel.notify_one();
            }
            _ => {}
        }
        let Some(work) = &mut self.work else { return Poll::Pending };
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(report)) => Poll::Ready(Ended::Report(Box::new(report))),
            Err(payload) => {
                self.work = None;
                if payload.is::<Killed>() {
                    return Poll::Ready(Ended::Killed);
                }
                let text = payload.downcast_ref::<String>().cloned();
                let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Poll::Ready(Ended::Panicked(text.unwrap_or_default()))
            }
        }
    }
}

/// Returns the job file of a plan.
fn job_file(plan: &Plan) -> String {
    let rows = u64::from(plan.part_rows);
    let (map, destination) = match plan.kind {
        Kind::CleverTap { replace, number } => {
            let bytes = 14 + rows * 11;
            let size = if number { format!(", oversize: number, max_body_bytes: {bytes}") } else { String::new() };
            (
                "{ identity: id }".to_owned(),
                format!(
                    "platform: clevertap, account_id: {{ env: KEY }}, passcode: {{ env: SECRET }}, segment: VIP, \
                     creator: Jane, email: jane@example.com, replace: {replace}{size}"
                ),
            )
        }
        Kind::Increment | Kind::Assign => {
            let (change, line) = match plan.kind {
                Kind::Increment => ("{ op: increment, attr: n, value: 1 }", 79),
                _ => ("{ op: assign, attr: n, value: a }", 78),
            };
            (
                format!("{{ customer_id: id, changes: [{change}] }}"),
                format!(
                    "platform: localytics-profiles, org_id: 60, api_key: {{ env: KEY }}, api_secret: {{ env: SECRET }}, \
                     max_part_bytes: {}",
                    rows * line
                ),
            )
        }
        Kind::AudienceNamed { if_exists, own_name } => (
            "{ customer_id: id }".to_owned(),
            format!(
                "platform: localytics-audience, app_id: app-1, audience_name: \"vip{}\", if_exists: {if_exists}, api_key: \
                 {{ env: KEY }}, api_secret: {{ env: SECRET }}",
                if own_name { " {run}" } else { "" }
            ),
        ),
        Kind::AudienceById => (
            "{ customer_id: id }".to_owned(),
            "platform: localytics-audience, app_id: app-1, audience_list_id: 31245, api_key: { env: KEY }, api_secret: { \
             env: SECRET }"
                .to_owned(),
        ),
        Kind::Segments { create, mixed } => {
            let operation = if mixed { "op" } else { "{ value: UPDATE }" };
            let target = if create { "import_name: spring" } else { "document_import_id: \"500\"" };
            (
                format!(
                    "{{ operation: {operation}, user_account_id: id, segment_id: {{ value: \"42\" }}, expiration_duration: \
                     {{ value: 0 }} }}"
                ),
                format!(
                    "platform: mediarithmics, datamart_id: \"1234\", token: {{ env: KEY }}, {target}, mime_type: ndjson, \
                     max_part_bytes: {}",
                    rows * 94
                ),
            )
        }
        Kind::YesmailPut => (
            "{ id: id }".to_owned(),
            format!(
                "platform: yesmail, list: my-list, api_user: {{ env: KEY }}, api_key: {{ env: SECRET }}, host: {{ put: {{ \
                 url: {{ env: PUT_URL }}, fetch_url: \"{BASE}/files/list.csv\" }} }}"
            ),
        ),
    };
    format!(
        "name: sim\nsource: {{ path: list.csv }}\nupload: {{ attempts: {}, part_wait: {}s }}\nwait: {}s\nmap: {map}\ndestination: \
         {{ base_url: \"{BASE}\", {destination} }}\n",
        plan.attempts, plan.part_wait, plan.wait
    )
}

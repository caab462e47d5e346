//! One job that is killed and continued until it has ended, and what its platforms then have.

use super::Draws;
use super::process::{Came, End, Reaper, run};
use super::world::{self, World};
use crate::ftp::Ftp;
use crate::scripted::{Does, Point, Seen, Vendor};
use std::collections::BTreeMap;

use std::sync::Arc;
use std::time::Duration;

/// Number of rows in the list.
const ROWS: usize = 3000;
/// Maximum number of processes of one job, killed or not.
const MAX_PROCESSES: usize = 12;

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    CleverTap,
    Set,
    Increment,
    NewAudience,
    OldAudience,
    Mediarithmics,
    Put,
    Ftp,
    Serve,
}

impl Kind {
    pub(crate) const ALL: [Kind; 9] = [
        Kind::CleverTap,
        Kind::Set,
        Kind::Increment,
        Kind::NewAudience,
        Kind::OldAudience,
        Kind::Mediarithmics,
        Kind::Put,
        Kind::Ftp,
        Kind::Serve,
    ];

    /// Returns `map` and `destination` of the job file; BASE and FTP are placeholders.
    fn job(self) -> String {
        let profiles = "destination: { platform: localytics-profiles, base_url: \"BASE\", org_id: 60, api_key: { env: KEY }, \
                        api_secret: { env: KEY }, max_part_bytes: 120000 }";
        let audience = |target: &str| {
            format!(
                "map: {{ customer_id: id }}\ndestination: {{ platform: localytics-audience, base_url: \"BASE\", app_id: a, {target}, \
                 api_key: {{ env: KEY }}, api_secret: {{ env: KEY }} }}"
            )
        };
        let yesmail = |host: &str| {
            format!(
                "map: {{ id: id, name: name }}\ndestination: {{ platform: yesmail, base_url: \"BASE\", list: members, api_user: {{ env: \
                 KEY }}, api_key: {{ env: KEY }}, host: {{ {host} }} }}"
            )
        };
        match self {
            Kind::CleverTap => "map: { identity: id }\ndestination: { platform: clevertap, base_url: \"BASE\", account_id: { env: \
                                KEY }, passcode: { env: KEY }, segment: VIP, creator: Jane, email: jane@example.com }"
                .to_owned(),
            Kind::Set => {
                format!("map: {{ customer_id: id, changes: [{{ op: assign, attr: name, column: name }}] }}\n{profiles}")
            }
            Kind::Increment => {
                format!("map: {{ customer_id: id, changes: [{{ op: increment, attr: n, value: 1 }}] }}\n{profiles}")
            }
            Kind::NewAudience => audience("audience_name: n"),
            Kind::OldAudience => audience("audience_list_id: 7"),
            Kind::Mediarithmics => {
                "map: { operation: { value: UPDATE }, user_account_id: id, segment_id: { value: 42 }, expiration_duration: { value: \
                 0 } }\ndestination: { platform: mediarithmics, base_url: \"BASE\", datamart_id: 1234, token: { env: KEY }, \
                 import_name: spring, max_part_bytes: 150kB }"
                    .to_owned()
            }
            Kind::Put => yesmail("put: { url: { env: PUT_URL }, fetch_url: \"BASE/store/list.csv\" }"),
            Kind::Ftp => yesmail("ftp: { url: \"ftp://ann:pw@FTP/dir/list.csv\" }"),
            Kind::Serve => yesmail("serve: { listen: \"127.0.0.1:0\", public_url: auto }"),
        }
    }
}

fn user(row: usize) -> String {
    format!("user-{row:06}")
}

/// A job with its servers.
struct Bed {
    kind: Kind,
    dir: tempfile::TempDir,
    world: World,
    vendor: Vendor,
    ftp: Ftp,
    reaper: Arc<Reaper>,
}

impl Bed {
    async fn new(kind: Kind) -> Bed {
        let (dir, world, reaper) = (tempfile::tempdir().unwrap(), World::default(), Arc::new(Reaper::default()));
        let moments = Arc::clone(&reaper);
        let ftp = Ftp::start(Arc::new(move |_| moments.moment(false))).await;
        let (deeds, files) = (Arc::clone(&world), Arc::clone(&ftp.files));
        let script = move |seen: &Seen, nth: usize, base: &str| -> Does {
            match kind {
                Kind::CleverTap => world::clevertap(&deeds, seen, nth, base),
                Kind::Mediarithmics => world::mediarithmics(&deeds, seen, nth, base),
                Kind::Put | Kind::Ftp | Kind::Serve => world::yesmail(&deeds, &files, seen),
                _ => world::localytics(&deeds, seen, nth, base),
            }
        };
        let moments = Arc::clone(&reaper);
        let vendor = Vendor::start(script, Arc::new(move |_, point| moments.moment(point == Point::Answering))).await;
        let mut list = String::from("id,name\n");
        for row in 0..ROWS {
            list.push_str(&format!("{},Name of number {row}\n", user(row)));
        }
        std::fs::write(dir.path().join("list.csv"), list).unwrap();
        let job = kind.job().replace("BASE", &vendor.base).replace("FTP/", &format!("{}/", ftp.address));
        let top = "source: { path: list.csv }\nwait: 4s\nupload: { attempts: 3 }\n";
        std::fs::write(dir.path().join("job.yaml"), format!("{top}{job}\n")).unwrap();
        Bed { kind, dir, world, vendor, ftp, reaper }
    }

    async fn run(&self, arguments: &[&str], end: End) -> Came {
        run(self.dir.path(), &self.vendor.base, arguments, end, &self.reaper).await
    }

    /// Returns the faults in what the platforms have.
    fn faults(&self) -> Vec<String> {
        let deeds = self.world.lock().unwrap();
        let mut faults = Vec::new();
        let mut rows: BTreeMap<String, usize> = (0..ROWS).map(|row| (user(row), 0)).collect();
        for line in deeds.uploads.iter().flatten() {
            let tree: serde_json::Value = serde_json::from_str(line).unwrap();
            let key = tree.get("customer_id").or(tree.get("user_account_id")).and_then(|key| key.as_str()).unwrap();
            *rows.get_mut(key).expect("a user of the list") += 1;
        }
        let lost = rows.values().filter(|&&times| times == 0).count();
        let twice = rows.values().filter(|&&times| times > 1).count();
        let listed = || (0..ROWS).map(user);
        match self.kind {
            Kind::CleverTap => {
                let list: String = "Type,Identity\n"
                    .chars()
                    .chain(listed().flat_map(|id| format!("i,{id}\n").chars().collect::<Vec<_>>()))
                    .collect();
                once(&deeds.created, list.as_bytes(), &mut faults);
            }
            Kind::Put | Kind::Ftp | Kind::Serve => {
                let list: String = (0..ROWS).map(|row| format!("{}\tName of number {row}\n", user(row))).collect();
                let list = format!("id\tname\n{list}");
                if deeds.created.len() != 1 {
                    faults.push(format!("{} imports", deeds.created.len()));
                }
                if deeds.fetched.as_deref() != Some(list.as_bytes()) {
                    faults.push("Yesmail fetched another list".to_owned());
                }
                if self.kind == Kind::Ftp && self.ftp.files.lock().unwrap().len() != 1 {
                    faults.push("another file is left on the FTP server".to_owned());
                }
            }
            Kind::NewAudience if deeds.created.len() != 1 => faults.push(format!("{} audiences", deeds.created.len())),
            _ => {}
        }
        let sends_rows = matches!(
            self.kind,
            Kind::Set | Kind::Increment | Kind::NewAudience | Kind::OldAudience | Kind::Mediarithmics
        );
        if sends_rows && lost > 0 {
            faults.push(format!("{lost} rows are lost"));
        }
        if matches!(self.kind, Kind::Increment | Kind::NewAudience | Kind::Mediarithmics) && twice > 0 {
            faults.push(format!("{twice} rows were applied twice"));
        }
        faults
    }

    /// Returns what a user would find when checking whether the call in doubt was carried out.
    fn assumption(&self, report: &serde_json::Value) -> &'static str {
        let deeds = self.world.lock().unwrap();
        let accepted =
            report["parts"].as_array().into_iter().flatten().filter(|part| !part["remote_id"].is_null()).count();
        let done = match self.kind {
            Kind::Set | Kind::Increment | Kind::OldAudience | Kind::Mediarithmics => deeds.uploads.len() > accepted,
            _ => !deeds.created.is_empty(),
        };
        if done { "done" } else { "repeat" }
    }
}

fn once(created: &[Vec<u8>], list: &[u8], faults: &mut Vec<String>) {
    if created.len() != 1 {
        faults.push(format!("{} creations", created.len()));
    } else if created[0] != list {
        faults.push("another list was used".to_owned());
    }
}

/// An unbroken run: its number of moments, which of them is the last half of an answer, and its duration.
pub(crate) struct Unbroken {
    moments: usize,
    last_answering: usize,
    took: Duration,
}

pub(crate) async fn unbroken(kind: Kind) -> Unbroken {
    let bed = Bed::new(kind).await;
    let came = bed.run(&["run", "job.yaml"], End::Itself).await;
    assert_eq!((came.code, bed.faults()), (Some(0), Vec::new()), "{kind:?}: {}", came.text);
    let (moments, last_answering) = bed.reaper.moments();
    Unbroken { moments, last_answering, took: came.took }
}

/// The result of one job.
#[derive(Clone, Debug, Default)]
pub(crate) struct One {
    kills: [usize; 3],
    disk_full: usize,
    doubts: usize,
    closed: usize,
    imports: usize,
    faults: Vec<String>,
}

fn draw_end(unbroken: &Unbroken, draws: &mut Draws) -> End {
    match draws.below(20) {
        0..=8 => End::AtMoment(draws.below(unbroken.moments)),
        9..=10 => End::AtMoment(unbroken.last_answering),
        11..=15 => {
            let millis = usize::try_from(unbroken.took.as_millis()).unwrap();
            End::After(Duration::from_millis(draws.below(millis + millis / 10) as u64))
        }
        16..=17 => End::WhileReporting,
        _ => End::DiskFull,
    }
}

/// Kills a job up to three times and repeats its command until it has ended.
pub(crate) async fn killed(kind: Kind, unbroken: &Unbroken, mut draws: Draws, nth: u64) -> One {
    let bed = Bed::new(kind).await;
    let mut one = One::default();
    let mut story = Vec::new();
    let mut rounds = 1 + draws.below(3);
    for _ in 0..MAX_PROCESSES {
        let end = if rounds > 0 { draw_end(unbroken, &mut draws) } else { End::Itself };
        rounds = rounds.saturating_sub(1);
        let came = bed.run(&["run", "job.yaml"], end).await;
        story.push(format!("{end:?} -> {:?}", came.code));
        one.count(end, &came);
        match (came.code, &came.report) {
            // its report arrived, so the job has ended, whatever happened to the process
            (Some(0), Some(_)) => return one.ended(&bed, nth, &story).await,
            (None, Some(report)) if report["exit_code"] == 0 => return one.ended(&bed, nth, &story).await,
            (None | Some(0 | 1 | 3 | 20 | 22), _) => {}
            (Some(21), Some(report)) => {
                one.doubts += 1;
                let id = report["run_id"].as_str().unwrap().to_owned();
                let assume = bed.assumption(report);
                let resumed = bed.run(&["resume", &id, "--assume", assume], End::Itself).await;
                story.push(format!("--assume {assume} -> {:?}", resumed.code));
                let fetched = bed.world.lock().unwrap().fetched.is_some();
                match (resumed.code, fetched) {
                    (Some(0), _) => return one.ended(&bed, nth, &story).await,
                    // the list was fetched before the kill, and the ticket of an assumed import is unknown
                    (Some(22), true) if kind == Kind::Serve => {}
                    _ => continue,
                }
                one.closed += 1;
                let closed = bed.run(&["runs", "close", &id], End::Itself).await;
                assert_eq!(closed.code, Some(0), "{}", closed.text);
                return one.ended(&bed, nth, &story).await;
            }
            (Some(21), None) => {}
            (code, _) => {
                one.faults.push(format!("job {nth}, {kind:?}: exit {code:?}: {} {}", story.join(", "), came.text));
                return one;
            }
        }
    }
    one.faults.push(format!("job {nth}, {kind:?} is stuck: {}", story.join(", ")));
    one
}

impl One {
    fn count(&mut self, end: End, came: &Came) {
        match (end, came.code) {
            (End::AtMoment(_), None) => self.kills[0] += 1,
            (End::After(_), None) => self.kills[1] += 1,
            (End::WhileReporting, None) => self.kills[2] += 1,
            (End::DiskFull, Some(1)) => self.disk_full += 1,
            _ => {}
        }
    }

    /// Checks a job that has ended: nothing is open, and the platforms have the list once.
    async fn ended(mut self, bed: &Bed, nth: u64, story: &[String]) -> One {
        // data still on its way between sockets arrives
        tokio::time::sleep(Duration::from_millis(50)).await;
        let runs = bed.run(&["runs"], End::Itself).await.report.unwrap_or_default();
        let open = runs.as_array().into_iter().flatten().filter(|run| run["open"] == true).count();
        let mut faults = bed.faults();
        if open > 0 {
            faults.push(format!("{open} runs are open"));
        }
        self.imports = bed.world.lock().unwrap().imports.saturating_sub(1);
        let kind = bed.kind;
        self.faults.extend(faults.iter().map(|fault| format!("job {nth}, {kind:?}: {fault}: {}", story.join(", "))));
        self
    }
}

/// Counts over all jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    kinds: BTreeMap<Kind, (usize, One)>,
}

impl Figures {
    /// Adds a job; returns how many there are.
    pub(crate) fn add(&mut self, kind: Kind, one: One) -> usize {
        let (jobs, sum) = self.kinds.entry(kind).or_default();
        *jobs += 1;
        sum.kills.iter_mut().zip(one.kills).for_each(|(sum, n)| *sum += n);
        sum.disk_full += one.disk_full;
        sum.doubts += one.doubts;
        sum.closed += one.closed;
        sum.imports += one.imports;
        sum.faults.extend(one.faults);
        self.kinds.values().map(|(jobs, _)| jobs).sum()
    }

    pub(crate) fn kills(&self) -> usize {
        self.kinds.values().map(|(_, one)| one.kills.iter().sum::<usize>() + one.disk_full).sum()
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.kinds.values().flat_map(|(_, one)| one.faults.clone()).collect()
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "| kind | jobs | killed at a moment | at any time | while reporting | report not written | in doubt (21) | empty imports | closed by hand | faults |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        for (kind, (jobs, one)) in &self.kinds {
            let [moment, any, reporting] = one.kills;
            let (full, doubts, imports, closed, faults) =
                (one.disk_full, one.doubts, one.imports, one.closed, one.faults.len());
            writeln!(
                f,
                "| {kind:?} | {jobs} | {moment} | {any} | {reporting} | {full} | {doubts} | {imports} | {closed} | {faults} |"
            )?;
        }
        Ok(())
    }
}

/// The oracle detects a list that was sent twice or not at all.
#[tokio::test]
async fn the_oracle_finds_what_is_twice_and_what_is_lost() {
    let bed = Bed::new(Kind::Increment).await;
    let line = |row| format!("{{\"customer_id\":\"{}\",\"changes\":[]}}", user(row));
    bed.world.lock().unwrap().uploads.push((0..ROWS).map(line).collect());
    assert_eq!(bed.faults(), Vec::<String>::new());
    bed.world.lock().unwrap().uploads.push(vec![line(5)]);
    assert_eq!(bed.faults(), ["1 rows were applied twice"]);
    bed.world.lock().unwrap().uploads[0].remove(7);
    assert_eq!(bed.faults().len(), 2, "one is lost, too");
    let bed = Bed::new(Kind::CleverTap).await;
    assert_eq!(bed.faults(), ["0 creations"]);
    bed.world.lock().unwrap().created.extend([Vec::new(), Vec::new()]);
    assert_eq!(bed.faults(), ["2 creations"]);
}

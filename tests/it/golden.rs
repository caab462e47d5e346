//! The golden cases of the platforms: a map and a list give exactly these bytes, with any number of threads.

use listferry::job::{Env, Job};

const SECRET: &str = "api_key: { env: K }, api_secret: { env: S }";

#[test]
fn maps_and_lists_give_the_bytes_on_file() {
    let profiles = format!("platform: localytics-profiles, org_id: 60, {SECRET}");
    let audience = format!("platform: localytics-audience, app_id: a, audience_name: n, {SECRET}");
    let mediarithmics = "platform: mediarithmics, datamart_id: 1, token: { env: T }, import_name: n";
    let csv = format!("{mediarithmics}, mime_type: csv");
    let clevertap = "platform: clevertap, region: in1, account_id: { env: I }, passcode: { env: P }, segment: s, \
                     creator: c, email: e@example.com";
    let yesmail = "platform: yesmail, list: l, api_user: { env: U }, api_key: { env: K }, \
                   host: { serve: { listen: '127.0.0.1:0' } }";
    for (folder, out, destination) in [
        ("clevertap/golden", "out.csv", clevertap),
        ("localytics/golden/profiles", "out.ndjson", &profiles),
        ("localytics/golden/audience", "out.ndjson", &audience),
        ("mediarithmics/golden/ndjson", "out.ndjson", mediarithmics),
        ("mediarithmics/golden/csv", "out.csv", &csv),
        // every separator occurs in a value: comma, with quotes
        ("yesmail/golden/list", "out.csv", yesmail),
        ("yesmail/golden/tab", "out.csv", yesmail),
    ] {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platform").join(folder);
        let map: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("map.json")).unwrap()).unwrap();
        let want = std::fs::read_to_string(dir.join(out)).unwrap();
        let yaml = format!("source: {{ path: in.csv }}\nmap: {map}\ndestination: {{ {destination} }}\n");
        for threads in [1, 3] {
            let job = Job::read(&yaml, &dir, &[]).unwrap();
            let mut env = Env::default();
            env.options.threads = threads;
            env.variables = std::sync::Arc::new(|_: &str| None);
            let mut bytes = Vec::new();
            let report = job.convert(&env, &mut bytes);
            assert_eq!(report.exit_code, 0, "{folder}: {:?}", report.error);
            assert_eq!(String::from_utf8(bytes).unwrap(), want, "{folder}");
        }
    }
}

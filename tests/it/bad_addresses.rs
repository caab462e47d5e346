//! Unusable addresses in responses, on the real binary: the platform's fault (12), never the job file's (2).

use crate::kill::{ends, listferry};
use crate::vendor::{Vendor, answer};
use serde_json::json;
use std::path::Path;

fn write_job(dir: &Path, base: &str) {
    std::fs::write(dir.join("list.csv"), "id\n1\n2\n").unwrap();
    let yaml = format!(
        "source: {{ path: list.csv }}\nmap: {{ identity: id }}\nupload: {{ attempts: 2 }}\n\
         destination: {{ platform: clevertap, account_id: {{ env: KEY }}, passcode: {{ env: KEY }}, segment: VIP, \
         creator: Jane, email: jane@example.com, base_url: \"{base}\" }}\n"
    );
    std::fs::write(dir.join("job.yaml"), yaml).unwrap();
}

/// Returns the exit code and all output of a run whose upload URL is `url`; `HOST` is the vendor itself.
async fn run(url: &'static str) -> (i32, String, Vec<String>) {
    let vendor = Vendor::start(move |seen, _| {
        let host = seen.header("host").unwrap_or_default();
        let text = match seen.target.as_str() {
            "/get_custom_list_segment_url" => {
                json!({"presignedS3URL": url.replace("HOST", host), "status": "success"}).to_string()
            }
            "/upload_custom_list_segment_completed" => json!({"Segment ID": 159, "status": "success"}).to_string(),
            _ => String::new(),
        };
        answer(200, &[], text)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    write_job(dir.path(), &vendor.url());
    let (code, output) = ends(listferry(dir.path(), &vendor.url(), &["run", "job.yaml"])).await;
    let heard = vendor.seen().into_iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
    (code, output, heard)
}

#[tokio::test]
async fn an_upload_url_that_cannot_be_used_ends_with_12() {
    for url in [
        "https://s.example:0/b/k?X-Amz-Signature=canary",
        "http://169.254.169.254/latest/meta-data/?X-Amz-Signature=canary",
        "https://[fe80::1]/b/k?X-Amz-Signature=canary",
        "http://s3.example.com/b/k?X-Amz-Signature=canary",
        "https://s 3.example.com/b/k?X-Amz-Signature=canary",
        "https://HOST/b/k y?X-Amz-Signature=canary",
        "http://HOST/b/k?X-Amz-SignedHeaders=host%3Bx-amz-meta-who&X-Amz-Signature=canary",
    ] {
        let (code, output, heard) = run(url).await;
        assert_eq!(code, 12, "{url}: {output}");
        assert!(!output.contains("allow_http") && !output.contains("canary"), "{url}: {output}");
        assert_eq!(heard, ["POST /get_custom_list_segment_url"], "{url}: nothing was sent there");
    }
}

#[tokio::test]
async fn white_space_around_an_upload_url_is_none_of_it() {
    let (code, output, heard) = run(" http://HOST/b/k?X-Amz-Signature=canary \n").await;
    assert_eq!(code, 0, "{output}");
    assert_eq!(heard[1], "PUT /b/k?X-Amz-Signature=canary");
}

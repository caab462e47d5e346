use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends raw bytes and reads the response to its end.
async fn talk(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    talk(address, head.as_bytes()).await
}

const KEYS: &str = "x-clevertap-account-id: a\r\nx-clevertap-passcode: p\r\n";

async fn issue(sandbox: &Sandbox) -> String {
    let answer = post(sandbox.address(), "/get_custom_list_segment_url", KEYS, "").await;
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    value["presignedS3URL"].as_str().unwrap().to_owned()
}

async fn put(sandbox: &Sandbox, url: &str, headers: &str, body: &str) -> String {
    let address = sandbox.address();
    let target = url.strip_prefix(&sandbox.url()).unwrap();
    talk(
        address,
        format!("PUT {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n{body}").as_bytes(),
    )
    .await
}

async fn start(faults: &[&str]) -> Sandbox {
    let faults = faults.iter().map(|fault| Fault::parse(fault).unwrap()).collect();
    Sandbox::start("127.0.0.1:0".parse().unwrap(), Options { faults, ..Options::default() }).await.unwrap()
}

#[tokio::test]
async fn storage_refuses_what_s3_refuses() {
    let sandbox = start(&[]).await;
    let url = issue(&sandbox).await;
    let good = "Type,Identity\ni,1\n";
    let length = format!("content-length: {}\r\n", good.len());
    let cases = [
        (url.clone(), "transfer-encoding: chunked\r\n".to_owned(), "501", "NotImplemented"),
        (url.clone(), String::new(), "411", "MissingContentLength"),
        (url.replace("X-Amz-Expires=86400", "X-Amz-Expires=86401"), length.clone(), "403", "SignatureDoesNotMatch"),
        (url.replace(".csv", ".cvs"), length.clone(), "403", "SignatureDoesNotMatch"),
        (url.clone(), format!("x-amz-acl: public-read\r\n{length}"), "403", "AccessDenied"),
        (url.clone(), "content-length: 5368709121\r\n".to_owned(), "400", "EntityTooLarge"),
    ];
    for (url, headers, status, code) in cases {
        let answer = put(&sandbox, &url, &headers, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code), "{answer}");
    }
    let answer = put(&sandbox, &url, &length, good).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // md5 of the object
    assert!(answer.to_lowercase().contains("etag: \""), "{answer}");
    let stored: Vec<_> = sandbox
        .ledger()
        .into_iter()
        .filter(|entry| entry.platform == "s3" && entry.complete && entry.status == 200)
        .collect();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].received, good.len() as u64);
}

#[tokio::test]
async fn an_expired_url_is_refused() {
    let sandbox = start(&["url-expired"]).await;
    let url = issue(&sandbox).await;
    let answer = put(&sandbox, &url, "content-length: 1\r\n", "x").await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("Request has expired"), "{answer}");
}

#[tokio::test]
async fn completed_answers_as_the_document_says() {
    let sandbox = start(&[]).await;
    let address = sandbox.address();
    let completed = |body: serde_json::Value| async move {
        post(address, "/upload_custom_list_segment_completed", KEYS, &body.to_string()).await
    };
    let url = issue(&sandbox).await;
    let wanted = |name: &str, url: &str| serde_json::json!({"name": name, "email": "a@b.example", "filename": "f.csv", "creator": "c", "url": url});
    assert!(completed(wanted("one", &url)).await.contains("Invalid URL"));
    put(&sandbox, &url, "content-length: 18\r\n", "Type,Identity\ni,1\n").await;
    assert!(completed(serde_json::json!({"name": "one"})).await.contains("are mandatory"));
    let mut bad = wanted("one", &url);
    bad["email"] = "no-address".into();
    assert!(completed(bad).await.contains("valid admin"));
    assert!(completed(wanted("one", &url)).await.contains("\"Segment ID\":"));
    assert!(completed(wanted("two", &url)).await.contains("previously used URL"));
    let other = issue(&sandbox).await;
    put(&sandbox, &other, "content-length: 18\r\n", "Type,Identity\ni,2\n").await;
    assert!(completed(wanted("one", &other)).await.contains("duplicate_name"));
    let mut again = wanted("one", &other);
    again["replace"] = true.into();
    assert!(completed(again).await.contains("\"status\":\"success\""));
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let sandbox = start(&[]).await;
    let answer = post(sandbox.address(), "/get_custom_list_segment_url", "", "").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[test]
fn multipart_is_read_at_any_cut() {
    let body = b"--XX\r\nContent-Disposition: form-data; name=\"org_id\"\r\n\r\n60\r\n--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n\n--XX-\n\r\n--XX--\r\n";
    for step in 1..body.len() {
        let mut form = multipart::Multipart::new("multipart/form-data; boundary=XX").unwrap();
        let mut file = Vec::new();
        for piece in body.chunks(step) {
            form.feed(piece, |bytes| file.extend_from_slice(bytes));
        }
        assert_eq!(form.end(), Ok(()), "in steps of {step}");
        assert_eq!(form.field("org_id"), Some("60"));
        assert_eq!(file, b"{\"a\":1}\r\n\n--XX-\n", "in steps of {step}");
    }
}

#[test]
fn a_fault_that_is_not_known_says_which_are() {
    assert!(Fault::parse("put-504").unwrap_err().contains("put-503"));
    assert!(Fault::parse("pending=x").is_err());
    assert!(Fault::parse("reject-every=0").is_err(), "N must be 1 or more");
    assert_eq!(Fault::parse("pending=3").unwrap(), Fault::parse("pending=3").unwrap());
}

#[tokio::test]
async fn a_signature_is_over_what_the_codes_mean() {
    let sandbox = start(&[]).await;
    let url = issue(&sandbox).await;
    let stranger = url.replace("AKIASANDBOX", "AKIASTRANGE");
    assert!(put(&sandbox, &stranger, "content-length: 1\r\n", "x").await.contains("InvalidAccessKeyId"));
    let elsewhere = url.replace("us-east-1", "eu-west-1");
    assert!(put(&sandbox, &elsewhere, "content-length: 1\r\n", "x").await.contains("X-Amz-Credential"));
    let shorter = url.replace("SignedHeaders=host", "SignedHeaders=");
    assert!(put(&sandbox, &shorter, "content-length: 1\r\n", "x").await.contains("SignatureDoesNotMatch"));
    // S3 also accepts an unencoded slash in the query
    let decoded = url.replace("%2F", "/");
    assert!(put(&sandbox, &decoded, "content-length: 1\r\n", "x").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn no_100_continue_before_the_head_is_judged() {
    let sandbox = start(&["put-503"]).await;
    let url = issue(&sandbox).await;
    let headers = "expect: 100-continue\r\ncontent-length: 18\r\n";
    let refused = put(&sandbox, &url, headers, "").await;
    assert!(refused.starts_with("HTTP/1.1 503") && !refused.contains("100 Continue"), "{refused}");
    let granted = put(&sandbox, &url, headers, "Type,Identity\ni,1\n").await;
    assert!(granted.starts_with("HTTP/1.1 100") && granted.contains("HTTP/1.1 200"), "{granted}");
}

const COMMAND: &str =
    "{\"operation\":\"UPDATE\",\"user_account_id\":\"a\",\"segment_id\":\"1\",\"expiration_duration\":0}\n";

#[tokio::test]
async fn a_later_part_fails_as_often_as_asked() {
    let sandbox = start(&["part-fails=2", "reject-row=1", "reject-row=2"]).await;
    let address = sandbox.address();
    let headers = "authorization: t\r\ncontent-type: application/x-ndjson\r\n";
    let path = "/v1/datamarts/7/document_imports/4711/executions";
    let body = COMMAND.repeat(4);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = post(address, path, headers, &body).await;
        statuses.push(answer.get(9..12).unwrap_or("cut").to_owned());
    }
    assert_eq!(statuses, ["200", "cut", "503", "200"]);
    let state = post_get(address, "/_state").await;
    let executions = &state["mediarithmics"]["imports"][0]["executions"];
    assert_eq!((executions.as_array().unwrap().len(), &executions[1]["bad"]), (2, &serde_json::json!(2)));
}

async fn post_get(address: SocketAddr, path: &str) -> serde_json::Value {
    let answer = talk(address, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await;
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[tokio::test]
async fn an_answer_is_cut_in_its_middle() {
    let sandbox = start(&["upload-cut"]).await;
    let headers = "authorization: t\r\ncontent-type: application/x-ndjson\r\n";
    let path = "/v1/datamarts/7/document_imports/4711/executions";
    let answer = post(sandbox.address(), path, headers, COMMAND).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length: usize =
        head.to_lowercase().split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert_eq!(body.len(), length / 2);
    assert_eq!(
        post_get(sandbox.address(), "/_state").await["mediarithmics"]["imports"][0]["executions"][0]["lines"],
        1
    );
}

async fn ask(address: SocketAddr, line: &str, headers: &str, body: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let end = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let body = answer.split_off(end + 4);
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    (head[9..12].parse().unwrap(), if chunked { unchunked(&body) } else { body })
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = memchr::memmem::find(body, b"\r\n").expect("the chunks end early");
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
}

fn value(body: &[u8]) -> serde_json::Value {
    serde_json::from_slice(body).unwrap()
}

/// Serves one file over HTTP to requests with the password, until dropped.
async fn file_server(file: &'static str) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
            // u:p w
            let known = head.contains("authorization: basic dtpwihc=");
            let status = if known { "200 OK" } else { "401 Unauthorized" };
            let body = if known { file } else { "" };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, task)
}

const YESMAIL: &str = "api-user: a\r\napi-key: k\r\n";

async fn ticket(sandbox: &Sandbox, uri: &str, threshold: serde_json::Value) -> serde_json::Value {
    let wanted = serde_json::json!({"errorThreshold": threshold, "importType": "update",
        "source": {"headers": true, "mappings": [{"id": "mail"}, {"n": "n"}], "separator": ";", "uri": uri}});
    let line = "POST /v2/target-lists/my-list/members/file-import";
    let (status, answer) = ask(sandbox.address(), line, YESMAIL, &wanted.to_string()).await;
    assert_eq!(status, 202);
    let id = value(&answer)["id"].as_str().unwrap().to_owned();
    for _ in 0..200 {
        let (_, answer) = ask(sandbox.address(), &format!("GET /v2/tickets/{id}"), YESMAIL, "").await;
        let ticket = value(&answer);
        if ticket["state"] == "completed" || ticket["state"] == "failed" {
            return ticket;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the ticket never ends");
}

#[tokio::test]
async fn yesmail_fetches_the_file_itself() {
    let sandbox = start(&["pull-cut", "ticket-retrying=2", "ignore-row=2"]).await;
    let (address, server) = file_server("mail;n\na@x.y;1\nB@x.y;2\nc@x.y;3\nd@x.y\n").await;
    let done = ticket(&sandbox, &format!("http://u:p%20w@{address}/list.csv"), 0.into()).await;
    assert_eq!(done["state"], "completed", "{done}");
    let location = done["response"]["location"].as_str().unwrap();
    let path = location.strip_prefix(&sandbox.url()).unwrap();
    let (_, results) = ask(sandbox.address(), &format!("GET {path}"), YESMAIL, "").await;
    let results = value(&results);
    assert_eq!(
        results["counts"],
        serde_json::json!({"completed": 1, "failed": 2, "ignored": 1, "total": 4, "requested": 4})
    );
    assert_eq!(results["completed "][0]["index"], 0);
    assert_eq!(results["failed"][0]["error"]["message"], "Invalid email address.");
    assert_eq!(results["ignored"][0]["index"], 2);
    let pulls: Vec<bool> =
        sandbox.ledger().iter().filter(|e| e.platform == "yesmail-pull").map(|entry| entry.complete).collect();
    assert_eq!(pulls, [false, true]);
    let over = ticket(&sandbox, &format!("http://u:p%20w@{address}/list.csv"), "40%".into()).await;
    assert_eq!(over["state"], "failed");
    let denied = ticket(&sandbox, &format!("http://{address}/list.csv"), 0.into()).await;
    assert_eq!(denied["state"], "failed");
    assert!(denied["message"].as_str().unwrap().contains("401"));
    let far = ticket(&sandbox, "http://192.0.2.1/list.csv", 0.into()).await;
    assert!(far["message"].as_str().unwrap().contains("this machine only"));
    server.abort();
}

#[tokio::test]
async fn yesmail_refuses_what_the_document_forbids() {
    let sandbox = start(&[]).await;
    let line = "POST /v2/target-lists/my-list/members/file-import";
    assert_eq!(ask(sandbox.address(), line, "api-user: a\r\n", "{}").await.0, 401);
    let good = serde_json::json!({"source": {"headers": true, "mappings": [{"id": 0}], "uri": "http://127.0.0.1:1/"}});
    let bad = [
        ("/errorThreshold", serde_json::json!("5")),
        ("/errorThreshold", serde_json::json!(-1)),
        ("/importType", serde_json::json!("append")),
        ("/source/separator", serde_json::json!(":")),
        ("/source/uri", serde_json::json!("sftp://h/x")),
        ("/source/mappings", serde_json::json!([{"id": 0, "b": 1}])),
        ("/source/headers", serde_json::json!("true")),
        ("/unknown", serde_json::json!(1)),
    ];
    for (at, with) in bad {
        let mut wanted = good.clone();
        let (parent, key) = at.rsplit_once('/').unwrap();
        wanted.pointer_mut(parent).unwrap()[key] = with;
        assert_eq!(ask(sandbox.address(), line, YESMAIL, &wanted.to_string()).await.0, 400, "{at}");
    }
    assert_eq!(ask(sandbox.address(), line, YESMAIL, &good.to_string()).await.0, 202);
    assert_eq!(ask(sandbox.address(), "GET /v2/tickets/1", YESMAIL, "").await.0, 404);
}

async fn token(sandbox: &Sandbox) -> String {
    let wanted = r#"{"grant_type":"client_credentials","client_id":"a","client_secret":"b"}"#;
    let (_, answer) = ask(sandbox.address(), "POST /oauth/token", "", wanted).await;
    format!("authorization: Bearer {}\r\n", value(&answer)["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn apsis_exports_are_polled_and_streamed() {
    let sandbox = start(&["rows=3000", "token-401"]).await;
    let address = sandbox.address();
    let line = "POST /audience/profiles/reports/segments";
    assert_eq!(ask(address, line, "", "{}").await.0, 401);
    let first = token(&sandbox).await;
    let (_, urls) = ask(address, line, &first, r#"{"attributes":[{"field_name":"Email"}]}"#).await;
    let urls = value(&urls);
    let path = |name: &str| urls[name].as_str().unwrap().strip_prefix(&sandbox.url()).unwrap().to_owned();
    let (one, two) = (format!("GET {}", path("file_download_url")), format!("GET {}", path("file_download_url_v2")));
    assert_eq!(ask(address, &one, &first, "").await.0, 401, "the token has expired");
    let second = token(&sandbox).await;
    assert_eq!(ask(address, &one, &second, "").await.0, 404);
    let (status, plain) = ask(address, &two, &second, "").await;
    let text = String::from_utf8(plain.clone()).unwrap();
    assert_eq!((status, text.lines().count()), (200, 3001));
    assert!(text.starts_with("profile_key,Email\n"));
    let (_, packed) = ask(address, &two, &format!("{second}accept-encoding: gzip\r\n"), "").await;
    let mut unpacked = Vec::new();
    io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut unpacked).unwrap();
    assert!(unpacked == plain);
    let sheet = "accept: application/vnd.openxmlformats-officedocument.spreadsheetml.sheet\r\n";
    let (_, workbook) = ask(address, &two, &format!("{second}{sheet}"), "").await;
    assert!(workbook.starts_with(b"PK\x03\x04[") || workbook.starts_with(b"PK\x03\x04"));
    assert!(memchr::memmem::find(&workbook, b"<t>profile_key</t>").is_some());
    assert_eq!(ask(address, "GET /audience/profiles/reports/none", &second, "").await.0, 404);
}

#[tokio::test]
async fn an_export_that_is_cut_has_no_proper_end() {
    let sandbox = start(&["rows=3000", "export-cut=2", "no-v2", "export-410"]).await;
    let address = sandbox.address();
    let token = token(&sandbox).await;
    let (_, urls) = ask(address, "POST /audience/profiles/reports/consents", &token, "{}").await;
    let urls = value(&urls);
    assert!(urls.get("file_download_url_v2").is_none());
    let path = urls["file_download_url"].as_str().unwrap().strip_prefix(&sandbox.url()).unwrap().to_owned();
    let line = format!("GET {path}");
    assert_eq!(ask(address, &line, &token, "").await.0, 410);
    assert_eq!(ask(address, &line, &token, "").await.0, 404);
    let (_, half) = ask(address, &line, &token, "").await;
    assert_eq!(half.iter().filter(|&&byte| byte == b'\n').count(), 1501);
    let (_, packed) = ask(address, &line, &format!("{token}accept-encoding: gzip\r\n"), "").await;
    assert!(io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut Vec::new()).is_err());
    assert_eq!(ask(address, &line, &token, "").await.1.iter().filter(|&&byte| byte == b'\n').count(), 3001);
}

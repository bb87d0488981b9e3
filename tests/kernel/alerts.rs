//! Alerts of a real Suricata about requests that a real agent captured: each knows the other's.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use gait_agent::{config::Config, run};
use gait_common::{
    alert::{Band, TriageData},
    detect::{CalibrationData, Part, Tail},
    model::{ModelData, file},
    sequence::{SECOND, Timing},
};
use serde_json::Value;

use crate::{
    network::{Namespace, run as run_command},
    support::{
        listening, port,
        process::{Process, scripts},
        watch,
    },
};

/// How long the agent runs. Suricata may take its time on a busy machine.
const RUNS: Duration = Duration::from_secs(40);
const RULE: &str = "alert http any any -> any any (msg:\"the word evil\"; flow:established,to_server; http.uri; \
                    content:\"evil\"; sid:7000001; rev:1;)\n";

/// A model to which every session is worth reporting and every alert real.
fn model(path: &Path) -> anyhow::Result<()> {
    let triage = TriageData {
        bias: 9.0,
        calibration: vec![(-5.0, 0.1), (5.0, 0.9)],
        band: Band { false_alarm: 0.3, real: 0.7 },
        ..TriageData::default()
    };
    let data = ModelData {
        interfaces: vec!["~new".to_owned()],
        timing: Timing { operation_gap: SECOND / 5, session_idle: 2 * SECOND },
        calibration: CalibrationData {
            tails: vec![Tail::default(); Part::ALL.len()],
            ..CalibrationData::default()
        },
        triage: Some(triage),
        ..ModelData::default()
    };
    Ok(fs::write(path, file::write(&data)?)?)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Suricata on an interface, once it looks.
fn suricata(dir: &Path, interface: &str) -> anyhow::Result<Process> {
    fs::write(dir.join("evil.rules"), RULE)?;
    let mut command = Command::new("suricata");
    command.args(["--init-errors-fatal", "-c", "/etc/suricata/suricata.yaml", "-k", "none"]);
    command.arg(format!("--af-packet={interface}")).arg("-S").arg(dir.join("evil.rules")).arg("-l").arg(dir);
    let process = Process::start(&mut command)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let log = dir.join("suricata.log");
    while !fs::read_to_string(&log).unwrap_or_default().contains("Engine started") {
        ensure!(Instant::now() < deadline, "suricata does not start: {:?}", fs::read_to_string(&log));
        thread::sleep(Duration::from_millis(50));
    }
    Ok(process)
}

#[test]
fn an_alert_names_caller_and_finding_and_a_finding_its_alerts() -> anyhow::Result<()> {
    let namespace = Namespace::make("gait-ids")?;
    let name = &namespace.0;
    run_command(&format!("ip link add gaitS type veth peer name gaitT netns {name}"))?;
    run_command("ip addr add 10.253.7.1/24 dev gaitS")?;
    run_command("ip link set gaitS up")?;
    run_command(&format!("ip -n {name} addr add 10.253.7.2/24 dev gaitT"))?;
    run_command(&format!("ip -n {name} link set gaitT up"))?;
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    let port = port();
    let mut server = Command::new("python3");
    server.args(["-m", "http.server", "--bind", "10.253.7.1", &port.to_string()]).current_dir(scripts());
    let _server = Process::start(&mut server)?;
    listening(SocketAddr::from(([10, 253, 7, 1], port)))?;
    let mut suricata = suricata(dir.path(), "gaitS")?;

    model(&at("m.gait"))?;
    let text = format!(
        "state_dir = {:?}\n[model]\npath = {:?}\n[capture]\nports = [{port}]\n[spool]\nenabled = false\n[findings]\nfile = {:?}\n\
         [triage]\neve = [{:?}]\nout = {:?}\n",
        at("state"),
        at("m.gait"),
        at("findings.jsonl"),
        at("eve.json"),
        at("judged.json"),
    );
    let config = Config::parse(&text, Path::new("gait.toml"))?;
    let summary = at("summary.json");
    let options =
        run::Options { config, summary: Some(summary.clone()), duration: Some(RUNS), pretty: false };
    let turn = watch::turn();
    let agent = thread::spawn(move || run::run(&options));

    let ask = |path: &str| {
        let url = format!(
            "import urllib.request as u\ntry: u.urlopen('http://10.253.7.1:{port}{path}')\nexcept u.HTTPError: pass"
        );
        Command::new("ip").args(["netns", "exec", name, "python3", "-c", &url]).status().context("no client")
    };
    let started = Instant::now();
    let (mut with_alerts, mut with_finding) = (None, None);
    // Each turn is a session of its own: two bad requests in it, a finding in between.
    while started.elapsed() < RUNS - Duration::from_secs(12)
        && (with_alerts.is_none() || with_finding.is_none())
    {
        ask("/evil/one?secret=1")?;
        thread::sleep(Duration::from_millis(1500));
        ask("/evil/two")?;
        thread::sleep(Duration::from_millis(4500));
        if !at("eve.json.1").exists() {
            // Rotated as logrotate does it: Suricata goes on in the old file until it is told.
            fs::rename(at("eve.json"), at("eve.json.1"))?;
            let pid = rustix::process::Pid::from_raw(suricata.id() as i32).context("no process")?;
            rustix::process::kill_process(pid, rustix::process::Signal::HUP)?;
        }
        with_alerts = lines(&at("findings.jsonl"))
            .into_iter()
            .map(|mut event| event["unmapped"]["gait"].take())
            .find(|finding| finding["alerts"].is_array());
        with_finding = lines(&at("judged.json")).into_iter().find(|line| line["gait"]["finding"].is_string());
    }
    suricata.terminate()?;
    // What it wrote at its end is read, for the agent runs on.
    agent.join().map_err(|_| anyhow::anyhow!("the agent panicked"))??;
    drop(turn);
    let account = fs::read_to_string(&summary)?;
    let finding = with_alerts.with_context(|| format!("no finding has alerts: {account}"))?;
    assert_eq!(finding["caller"], "10.253.7.2");
    assert_eq!(finding["alerts"][0]["sid"], 7_000_001);
    assert_eq!(
        (&finding["alerts"][0]["signature"], &finding["alerts"][0]["verdict"]),
        (&"the word evil".into(), &"real".into())
    );
    let judged = lines(&at("judged.json"));
    let key = &finding["alerts"][0]["key"];
    ensure!(judged.iter().any(|line| line["gait"]["key"] == *key), "{key} is no alert's");
    let alert = with_finding.with_context(|| format!("no alert has a finding: {account}"))?;
    assert_eq!((&alert["gait"]["caller"], &alert["gait"]["verdict"]), (&"10.253.7.2".into(), &"real".into()));
    let uids: Vec<Value> = lines(&at("findings.jsonl"))
        .into_iter()
        .map(|mut event| event["finding_info"]["uid"].take())
        .collect();
    ensure!(uids.contains(&alert["gait"]["finding"]), "{alert} names no finding of {uids:?}");

    // Every line that Suricata wrote came out, over the rotation, and the account says so.
    let written = ["eve.json.1", "eve.json"].map(|name| lines(&at(name)).len());
    assert_eq!(judged.len(), written.iter().sum::<usize>(), "{written:?}");
    let account: Value = serde_json::from_str(&account)?;
    assert_eq!(account["balanced"], true, "{account}");
    let links = &account["triage"]["links"];
    let count = |name: &str| links[name].as_u64().unwrap_or_default();
    assert_eq!(
        count("alerts"),
        count("matched") + count("matched_late") + count("unmatched") + count("waiting")
    );
    ensure!(count("matched") >= 2 && count("findings_with_alerts") >= 1, "{links}");
    Ok(())
}

//! What following a function costs its program, per call: nothing, the tree coder, bpftrace timing the same functions, and
//! bpftrace sending an event for each call, side by side in alternating rounds; and how many events a request costs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{Options, in_turns};
use crate::agent::Agent;
use crate::apt::{self, need};
use crate::nginx::{Nginx, Setup};
use crate::shell::{Background, is_root, output, which};
use crate::{build, interrupt, test};

const SOURCE: &str = include_str!("trees/target.c");
/// The functions that are followed: each call of the first calls the others.
const FUNCTIONS: [&str; 4] = ["f_outer", "f_first", "f_second", "f_third"];
/// How often the functions are called in a measurement.
const TURNS: u32 = 20_000;
/// Functions of nginx on the way of a request, exported by Debian's.
const NGINX: &str = r#""ngx_http_process_request", "ngx_http_core_*_phase", "ngx_http_send_header", "ngx_http_output_filter",
    "ngx_http_finalize_request", "ngx_http_special_response_handler", "ngx_http_write_filter""#;

/// What follows the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Nothing,
    Coder,
    Timing,
    Events,
}

impl Variant {
    const ALL: [Self; 4] = [Self::Nothing, Self::Coder, Self::Timing, Self::Events];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Coder => "gait-agent, trees",
            Self::Timing => "bpftrace, times",
            Self::Events => "bpftrace, an event a call",
        }
    }
}

/// Measures and prints.
pub(crate) fn trees(options: &Options) -> Result<()> {
    if !is_root() {
        bail!("measuring trees needs root: the agent and bpftrace load programs into the kernel");
    }
    if options.rounds == 0 || options.seconds == 0 {
        bail!("--rounds and --seconds must be at least 1");
    }
    apt::ensure(&[
        need("gcc", "gcc"),
        need("wrk", "wrk"),
        need("bpftrace", "bpftrace"),
        need("taskset", "util-linux"),
    ])?;
    test::mount_tracefs()?;
    let agent = build::build(true)?.agent;
    interrupt::watch()?;
    let dir =
        tempfile::Builder::new().prefix("gait-bench-").tempdir().context("failed to create a directory")?;
    let bench = Bench { target: compile(dir.path())?, agent: &agent, dir: dir.path(), options };
    let measure = |variant| Ok((variant, bench.measure(variant)?));
    let told = |(variant, ns): &(Variant, f64)| format!("{:<26} {ns:>9.1} ns a call", variant.name());
    let samples = in_turns(options.rounds, Variant::ALL, measure, told)?;
    let events = bench.events()?;
    report(&samples, &events, options.json);
    Ok(())
}

fn compile(dir: &Path) -> Result<PathBuf> {
    let (source, target) = (dir.join("target.c"), dir.join("target"));
    fs::write(&source, SOURCE).context("failed to write the program to be followed")?;
    output(Command::new("gcc").args(["-O1", "-fno-inline", "-o"]).arg(&target).arg(&source))?;
    Ok(target)
}

struct Bench<'a> {
    target: PathBuf,
    agent: &'a Path,
    dir: &'a Path,
    options: &'a Options,
}

/// What nginx's requests cost in events.
struct Events {
    requests: u64,
    records: u64,
    new_trees: u64,
    tied: u64,
    lost: u64,
}

impl Bench<'_> {
    /// Nanoseconds a call.
    fn measure(&self, variant: Variant) -> Result<f64> {
        match variant {
            Variant::Nothing => self.run(),
            Variant::Coder => {
                let config = format!(
                    "[capture]\nports = [1]\n[spool]\nenabled = false\n[trees]\nmax_rate = 1000000000\n\
                     [[functions]]\nbinary = \"{}\"\ninclude = [\"f_*\"]\n",
                    self.target.display()
                );
                let agent = Agent::start(self.agent, &self.dir.join("agent"), &config, None)?;
                let ns = self.run()?;
                agent.stop()?;
                let seen = self.counted("agent", &["trees", "kernel", "counted"])?;
                let ran = u64::from(TURNS + TURNS / 10);
                if seen != ran {
                    bail!("the agent counted {seen} trees of {ran}");
                }
                Ok(ns)
            }
            Variant::Timing => {
                let each = |at: &str, name: &str| {
                    format!(
                        "uprobe:{at}:{name} {{ @{name}[tid] = nsecs; }}\nuretprobe:{at}:{name} /@{name}[tid]/ {{ \
                         @{name}_ns = hist(nsecs - @{name}[tid]); delete(@{name}[tid]); }}\n"
                    )
                };
                self.beside_bpftrace(&each)
            }
            Variant::Events => {
                let each = |at: &str, name: &str| {
                    format!("uretprobe:{at}:{name} {{ printf(\"%d {name} %lu\\n\", tid, nsecs); }}\n")
                };
                self.beside_bpftrace(&each)
            }
        }
    }

    /// The program on a CPU of its own.
    fn run(&self) -> Result<f64> {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(&self.target).arg(TURNS.to_string());
        let said = output(&mut command)?;
        interrupt::check()?;
        said.trim().parse().with_context(|| format!("the program printed {said:?}"))
    }

    fn beside_bpftrace(&self, each: &dyn Fn(&str, &str) -> String) -> Result<f64> {
        let at = self.target.display().to_string();
        let script = self.dir.join("trees.bt");
        let text: String = FUNCTIONS.iter().map(|name| each(&at, name)).collect();
        fs::write(&script, text).context("failed to write the bpftrace script")?;
        let printed = self.dir.join("bpftrace.out");
        let stdout = fs::File::create(&printed).context("failed to create a file for bpftrace's output")?;
        let errors = self.dir.join("bpftrace.err");
        let stderr = fs::File::create(&errors).context("failed to create a file for bpftrace's messages")?;
        let program = which("bpftrace").context("bpftrace is not on PATH")?;
        let mut command = Command::new(program);
        command.arg(&script).stdout(stdout).stderr(stderr);
        let mut bpftrace = Background::start("bpftrace", &mut command)?;
        while !fs::read_to_string(&printed).is_ok_and(|text| text.contains("Attaching")) {
            let said = || fs::read_to_string(&errors).unwrap_or_default();
            bpftrace.check_alive().with_context(|| format!("it said: {}", said().trim_end()))?;
            interrupt::sleep(Duration::from_millis(50))?;
        }
        interrupt::sleep(Duration::from_secs(1))?;
        let ns = self.run()?;
        bpftrace.stop(Duration::from_secs(30))?;
        Ok(ns)
    }

    /// nginx at full load, followed: what its requests cost in events.
    fn events(&self) -> Result<Events> {
        let server = "location / { return 200 'hello'; } location /file { }";
        let setup = Setup { dir: &self.dir.join("nginx"), workers: 1, server, log: false, main: "" };
        let nginx = Nginx::start(&setup)?;
        let config = format!(
            "[capture]\nports = [{}]\n[spool]\nenabled = false\n[trees]\nmax_rate = 1000000000\n\
             [[functions]]\nbinary = \"{}\"\ninclude = [{NGINX}]\n",
            nginx.port,
            fs::canonicalize(apt::nginx()?).context("failed to find nginx")?.display()
        );
        let agent = Agent::start(self.agent, &self.dir.join("agent"), &config, None)?;
        let before = nginx.requests()?;
        let mut command = Command::new("wrk");
        command.args(["-t1", &format!("-c{}", self.options.connections)]);
        command.arg(format!("-d{}s", self.options.seconds));
        output(command.arg(format!("http://127.0.0.1:{}/", nginx.port)))?;
        interrupt::check()?;
        let requests = nginx.requests()? - before;
        let summary = agent.stop()?;
        nginx.stop()?;
        Ok(Events {
            requests,
            records: summary.captured,
            new_trees: self.counted("agent", &["trees", "kernel", "new"])?,
            tied: self.counted("agent", &["trees", "kernel", "tied"])?,
            lost: summary.lost,
        })
    }

    /// A number of the agent's last summary.
    fn counted(&self, dir: &str, path: &[&str]) -> Result<u64> {
        let file = self.dir.join(dir).join("summary.json");
        let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let value: Value = serde_json::from_str(&text).with_context(|| format!("in {}", file.display()))?;
        let number = path.iter().try_fold(&value, |value, key| value.get(key)).and_then(Value::as_u64);
        number.with_context(|| format!("no count {path:?} in {}", file.display()))
    }
}

fn report(samples: &[(Variant, f64)], events: &Events, as_json: bool) {
    let bare = median(samples, Variant::Nothing);
    let cost = |variant| median(samples, variant) - bare;
    let ratio = cost(Variant::Coder) / cost(Variant::Timing);
    let per_request = (events.records + events.new_trees) as f64 / events.requests.max(1) as f64;
    if as_json {
        let figures = json!({
            "ns_per_call": bare,
            "cost_ns": { "coder": cost(Variant::Coder), "bpftrace_times": cost(Variant::Timing),
                "bpftrace_events": cost(Variant::Events) },
            "coder_against_bpftrace": ratio,
            "requests": events.requests, "records": events.records, "new_trees": events.new_trees,
            "trees_with_requests": events.tied, "lost": events.lost, "events_per_request": per_request,
        });
        println!("{figures:#}");
        return;
    }
    let mut lines = vec![format!("{:<28} {:>12} {:>14}", "followed by", "ns a call", "cost a call")];
    for variant in Variant::ALL {
        let cost =
            if variant == Variant::Nothing { String::new() } else { format!("{:.0} ns", cost(variant)) };
        lines.push(format!("{:<28} {:>12.1} {cost:>14}", variant.name(), median(samples, variant)));
    }
    lines.push(format!("the coder costs {ratio:.2} times what bpftrace does"));
    lines.push(format!(
        "nginx: {} requests, {} records with {} trees, {} new trees, {} lost: {per_request:.4} events a request",
        events.requests, events.records, events.tied, events.new_trees, events.lost
    ));
    println!("{}", lines.join("\n"));
}

fn median(samples: &[(Variant, f64)], of: Variant) -> f64 {
    let mut all: Vec<f64> = samples.iter().filter(|(variant, _)| *variant == of).map(|(_, ns)| *ns).collect();
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    let low = all.len().saturating_sub(1) / 2;
    (all.get(low).copied().unwrap_or_default() + all.get(middle).copied().unwrap_or_default()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_variant_alone() {
        let samples =
            [(Variant::Nothing, 1.0), (Variant::Coder, 9.0), (Variant::Coder, 5.0), (Variant::Coder, 7.0)];
        assert_eq!(median(&samples, Variant::Coder), 7.0);
        assert_eq!(median(&samples[..3], Variant::Coder), 7.0, "of two it is the middle");
        assert_eq!(median(&samples, Variant::Events), 0.0);
    }
}

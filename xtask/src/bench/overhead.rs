//! What capturing costs a saturated nginx: nothing, the agent and bpftrace side by side, in alternating rounds.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::summary::{self, Sample, Variant};
use super::{Options, cpu, in_turns};
use crate::agent::{Agent, Summary};
use crate::apt::{self, need};
use crate::nginx::{Nginx, Setup};
use crate::shell::{Background, is_root, output, which};
use crate::{build, interrupt, test};

/// Prints the first line of the request, of the response, and the time between, from syscall tracepoints: the same
/// metadata as the agent's, as a person with bpftrace at hand would get it.
const BPFTRACE: &str = r#"
struct part { void *base; unsigned long length; };
tracepoint:syscalls:sys_enter_recvfrom /comm == "nginx"/ { @buffer[tid] = (uint64)args->ubuf; }
tracepoint:syscalls:sys_exit_recvfrom /comm == "nginx" && @buffer[tid]/ {
    if (args->ret > 0) { @start[tid] = nsecs; @head[tid] = str(@buffer[tid], 48); }
    delete(@buffer[tid]);
}
tracepoint:syscalls:sys_enter_writev /comm == "nginx" && @start[tid]/ {
    printf("%d %d %s %s\n", tid, (nsecs - @start[tid]) / 1000, str(((struct part *)args->vec)->base, 13), @head[tid]);
    delete(@start[tid]);
}
END { clear(@buffer); clear(@start); clear(@head); }
"#;

/// What wrk asks for, and nothing else does.
const TARGET: &str = "/api/items/1017";

const SERVER: &str = r#"
default_type application/json;
location / { return 200 '{"id":1017,"name":"item 1017","price":"12.90","in_stock":true}'; }
"#;

/// Measures and prints.
pub(crate) fn overhead(options: &Options) -> Result<()> {
    if !is_root() {
        bail!("measuring the overhead needs root: the agent and bpftrace load programs into the kernel");
    }
    if options.rounds == 0 || options.seconds == 0 {
        bail!("--rounds and --seconds must be at least 1");
    }
    apt::ensure(&[need("wrk", "wrk"), need("bpftrace", "bpftrace"), need("taskset", "util-linux")])?;
    test::mount_tracefs()?;
    let agent = build::build(true)?.agent;
    interrupt::watch()?;
    let dir =
        tempfile::Builder::new().prefix("gait-bench-").tempdir().context("failed to create a directory")?;
    // nginx and its load must not move about, or rounds differ by where they ran.
    let main = format!("worker_cpu_affinity {};", affinity(options.workers));
    let setup = Setup {
        dir: &dir.path().join("nginx"),
        workers: options.workers,
        server: SERVER,
        log: false,
        main: &main,
    };
    let bench = Bench { nginx: Nginx::start(&setup)?, agent: &agent, dir: dir.path(), options };
    bench.load(1)?; // warms up nginx, wrk and the caches
    let measure = |variant| bench.measure(variant);
    let samples = in_turns(options.rounds, Variant::ALL, measure, Sample::to_string)?;
    bench.nginx.stop()?;
    if options.json { summary::print_json(&samples) } else { summary::print_table(&samples) }
}

/// `01 10`: each worker on a CPU of its own.
fn affinity(workers: u32) -> String {
    (0..workers).map(|worker| format!("{:b}", 1_u64 << (worker % 64))).collect::<Vec<_>>().join(" ")
}

struct Bench<'a> {
    nginx: Nginx,
    agent: &'a Path,
    dir: &'a Path,
    options: &'a Options,
}

impl Bench<'_> {
    fn measure(&self, variant: Variant) -> Result<Sample> {
        match variant {
            Variant::Nothing => self.loaded(variant, None, || Ok(Summary::default())),
            Variant::Agent => {
                let dir = self.dir.join("agent");
                let port = self.nginx.port;
                let config = format!(
                    "[capture]\nports = [{port}]\n[spool]\ndir = \"{}\"\n",
                    dir.join("spool").display()
                );
                let agent = Agent::start(self.agent, &dir, &config, None)?;
                let pid = agent.pid();
                let sample = self.loaded(variant, Some(pid), || agent.stop());
                let _ = fs::remove_dir_all(&dir);
                sample
            }
            Variant::Bpftrace => {
                let printed = self.dir.join("bpftrace.out");
                let bpftrace = self.start_bpftrace(&printed)?;
                let pid = bpftrace.pid();
                self.loaded(variant, Some(pid), || {
                    bpftrace.stop(Duration::from_secs(30))?;
                    let text = fs::read(&printed).context("failed to read what bpftrace printed")?;
                    let seen = String::from_utf8_lossy(&text).matches(TARGET).count() as u64;
                    Ok(Summary { captured: seen, lost: 0 })
                })
            }
        }
    }

    fn loaded(
        &self,
        variant: Variant,
        tool: Option<u32>,
        stop: impl FnOnce() -> Result<Summary>,
    ) -> Result<Sample> {
        let workers = self.nginx.worker_pids()?;
        let nginx_cpu = || workers.iter().map(|pid| cpu::used(*pid)).sum::<Result<Duration>>();
        let tool_cpu = || tool.map_or(Ok(Duration::ZERO), cpu::used);
        let (nginx_before, tool_before) = (nginx_cpu()?, tool_cpu()?);
        let before = self.nginx.requests()?;
        let start = Instant::now();
        self.load(self.options.seconds)?;
        let time = start.elapsed();
        let served = self.nginx.requests()? - before;
        let (nginx_cpu, tool_cpu) = (nginx_cpu()? - nginx_before, tool_cpu()? - tool_before);
        let Summary { captured, lost } = stop()?;
        Ok(Sample { variant, served, time, nginx_cpu, tool_cpu, captured, lost })
    }

    /// wrk at full load for some seconds, on the last CPU.
    fn load(&self, seconds: u32) -> Result<()> {
        let last = std::thread::available_parallelism().map_or(0, |cpus| cpus.get() - 1);
        let mut command = Command::new("taskset");
        command.args(["-c", &last.to_string(), "wrk", "-t1"]).arg(format!("-c{}", self.options.connections));
        command.arg(format!("-d{seconds}s"));
        if self.options.close {
            command.args(["-H", "Connection: close"]);
        }
        command.arg(format!("http://127.0.0.1:{}{TARGET}", self.nginx.port));
        let said = output(&mut command)?;
        interrupt::check()?;
        match said.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
            // With `Connection: close` wrk counts each closing as a read error.
            Some(line) if !self.options.close => bail!("wrk had errors: {}", line.trim()),
            _ => Ok(()),
        }
    }

    fn start_bpftrace(&self, printed: &Path) -> Result<Background> {
        let script = self.dir.join("same-metadata.bt");
        fs::write(&script, BPFTRACE).context("failed to write the bpftrace script")?;
        let stdout = fs::File::create(printed).context("failed to create a file for bpftrace's output")?;
        let errors = self.dir.join("bpftrace.err");
        let stderr = fs::File::create(&errors).context("failed to create a file for bpftrace's messages")?;
        let program = which("bpftrace").context("bpftrace is not on PATH")?;
        let mut command = Command::new(program);
        command.arg(&script).stdout(stdout).stderr(stderr);
        let mut bpftrace = Background::start("bpftrace", &mut command)?;
        // It announces its probes before the first event.
        let attached = || fs::read_to_string(printed).is_ok_and(|text| text.contains("Attaching"));
        while !attached() {
            let said = || fs::read_to_string(&errors).unwrap_or_default();
            bpftrace.check_alive().with_context(|| format!("it said: {}", said().trim_end()))?;
            interrupt::sleep(Duration::from_millis(50))?;
        }
        interrupt::sleep(Duration::from_secs(1))?;
        Ok(bpftrace)
    }
}

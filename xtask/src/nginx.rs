//! A real nginx of our own: its own directory, port, configuration and log; nothing of the host's is touched.

use std::cell::Cell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::shell::Background;
use crate::{apt, interrupt};

/// Ports that are tried for our servers: below the range from which the kernel gives out its own.
const PORTS: std::ops::Range<u16> = 18500..18999;

/// A running nginx. Dropped, it ends.
pub(crate) struct Nginx {
    process: Background,
    dir: PathBuf,
    status_port: u16,
    asked: Cell<u64>,
    /// Where it listens, on the loopback address.
    pub(crate) port: u16,
}

/// How an nginx is set up.
pub(crate) struct Setup<'a> {
    /// A directory of its own.
    pub(crate) dir: &'a Path,
    /// Number of worker processes.
    pub(crate) workers: u32,
    /// What stands in its `server` block after `listen`.
    pub(crate) server: &'a str,
    /// Whether requests are logged.
    pub(crate) log: bool,
    /// Further lines of the main block.
    pub(crate) main: &'a str,
}

impl Nginx {
    /// Starts one and waits until it answers.
    pub(crate) fn start(setup: &Setup<'_>) -> Result<Self> {
        let binary = apt::nginx()?;
        let (port, status_port) = free_ports()?;
        let dir = setup.dir.to_path_buf();
        fs::create_dir_all(dir.join("temp"))
            .with_context(|| format!("failed to create {}", dir.display()))?;
        let config = dir.join("nginx.conf");
        fs::write(&config, configuration(setup, port, status_port))
            .with_context(|| format!("failed to write {}", config.display()))?;
        let stderr =
            fs::File::create(dir.join("nginx.stderr")).context("failed to create nginx's stderr file")?;
        let mut command = Command::new(&binary);
        command.arg("-p").arg(&dir).arg("-c").arg(&config).args(["-e", "error.log"]);
        command.stdout(Stdio::null()).stderr(stderr);
        let process = Background::start("nginx", &mut command)?;
        let mut nginx = Self { process, dir, status_port, asked: Cell::new(0), port };
        nginx.wait_until_it_answers()?;
        Ok(nginx)
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        // A connection without a request is no request: nginx neither logs nor counts it.
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let said = || fs::read_to_string(self.dir.join("error.log")).unwrap_or_default();
            self.process.check_alive().with_context(|| format!("nginx said: {}", said().trim_end()))?;
            if Instant::now() > deadline {
                bail!("nginx does not answer on port {}: {}", self.port, said().trim_end());
            }
            interrupt::sleep(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Its access log.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("access.log")
    }

    /// Moves what was logged so far to `moved` on the same file system, as logrotate does, and gives its path back.
    pub(crate) fn rotate(&self, moved: &Path) -> Result<PathBuf> {
        fs::rename(self.log(), moved).with_context(|| format!("failed to move {}", self.log().display()))?;
        let pid = i32::try_from(self.process.pid()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("nginx has no process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::USR1)
            .context("failed to signal nginx")?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.log().exists() {
            if Instant::now() > deadline {
                bail!("nginx did not open its log anew");
            }
            interrupt::sleep(Duration::from_millis(10))?;
        }
        // The workers open it right after the master did.
        interrupt::sleep(Duration::from_millis(300))?;
        Ok(moved.to_path_buf())
    }

    /// Requests it has finished since its start, by its own counter (`stub_status`), those that ask for it left out.
    pub(crate) fn requests(&self) -> Result<u64> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.status_port)).context("failed to reach nginx")?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /stub_status HTTP/1.1\r\nHost: nginx\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("failed to read nginx's stub_status")?;
        let mut lines = answer.lines().skip_while(|line| !line.contains("accepts handled requests"));
        let counts = lines.nth(1).context("nginx's stub_status has another form than expected")?;
        let requests = counts.split_whitespace().nth(2).and_then(|count| count.parse::<u64>().ok());
        self.asked.set(self.asked.get() + 1);
        Ok(requests
            .context("nginx's stub_status holds no count of requests")?
            .saturating_sub(self.asked.get()))
    }

    /// The ids of its worker processes.
    pub(crate) fn worker_pids(&self) -> Result<Vec<u32>> {
        let file = format!("/proc/{0}/task/{0}/children", self.process.pid());
        match fs::read_to_string(&file) {
            Ok(children) => Ok(children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()),
            Err(error) => Err(error).with_context(|| format!("failed to read {file}")),
        }
    }

    /// Ends it, letting it finish what it is answering.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop(Duration::from_secs(5))
    }
}

fn configuration(setup: &Setup<'_>, port: u16, status_port: u16) -> String {
    let log = if setup.log { "access.log combined" } else { "off" };
    let (workers, main, server) = (setup.workers, setup.main, setup.server);
    // As root, nginx would run its workers as a user who may not enter our private directory.
    let user = if crate::shell::is_root() { "user root;" } else { "" };
    format!(
        "daemon off;\n{user}\nworker_processes {workers};\n{main}\npid nginx.pid;\nerror_log error.log warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
           access_log {log};\n\
           client_body_temp_path temp/body; proxy_temp_path temp/proxy; fastcgi_temp_path temp/fastcgi;\n\
           uwsgi_temp_path temp/uwsgi; scgi_temp_path temp/scgi;\n\
           keepalive_requests 1000000; keepalive_timeout 75s; tcp_nodelay on; sendfile on;\n\
           server {{\n\
             listen 127.0.0.1:{port} backlog=4096;\n\
             {server}\n\
           }}\n\
           server {{ listen 127.0.0.1:{status_port}; location = /stub_status {{ stub_status; access_log off; }} }}\n\
         }}\n"
    )
}

/// Two ports of the loopback address on which nobody listens: one to serve on, one to be asked for counts on.
fn free_ports() -> Result<(u16, u16)> {
    // Several runs at once start to look at different places.
    let first = u16::try_from(std::process::id() % 400).unwrap_or_default();
    let (start, end) = (PORTS.start, PORTS.end);
    let mut free = (start + first..end)
        .chain(start..start + first)
        .filter(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let pair = free.next().zip(free.next());
    pair.with_context(|| format!("no two free ports between {start} and {end}"))
}

//! A real nginx with a few small locations, and its own count of what it served.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
};

use anyhow::Context as _;

use super::{listening, port, process::Process};

/// An nginx of our own, ended with the value.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    status: PathBuf,
    process: Process,
    _directory: tempfile::TempDir,
}

impl Nginx {
    pub(crate) fn start(workers: u32) -> anyhow::Result<Self> {
        Self::start_with(workers, "")
    }

    /// With further lines in its `server` block.
    pub(crate) fn start_with(workers: u32, server: &str) -> anyhow::Result<Self> {
        Self::start_listening(workers, server, "")
    }

    /// With further options of `listen`.
    pub(crate) fn start_listening(workers: u32, server: &str, options: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let at = directory.path().display();
        let port = port();
        let status = directory.path().join("status.sock");
        fs::create_dir(directory.path().join("www"))?;
        fs::write(directory.path().join("www/file"), vec![b'x'; 40_000])?;
        fs::write(directory.path().join("www/big"), vec![b'y'; 3_000_000])?;
        let conf = format!(
            "daemon off; worker_processes {workers}; pid {at}/pid; error_log stderr crit;
            events {{ worker_connections 4096; }}
            http {{
                access_log off; default_type text/plain; sendfile on; keepalive_requests 1000000000;
                client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
                uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
                server {{
                    listen 127.0.0.1:{port} backlog=4096 {options}; listen [::1]:{port} backlog=4096;
                    root {at}/www; client_max_body_size 100m;
                    location / {{ return 200 'hello'; }}
                    location /file {{ }}
                    location /big {{ }}
                    location /empty {{ return 204; }}
                    {server}
                }}
                server {{ listen unix:{at}/status.sock; location / {{ stub_status; }} }}
            }}"
        );
        let path = directory.path().join("conf");
        fs::write(&path, conf)?;
        let process =
            Process::start(Command::new("nginx").arg("-p").arg(directory.path()).arg("-c").arg(&path))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        listening(address)?;
        Ok(Self { address, status, process, _directory: directory })
    }

    /// Requests that nginx says it has served at its port.
    pub(crate) fn served(&self) -> anyhow::Result<u64> {
        let mut stream = UnixStream::connect(&self.status)?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let numbers = text.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1);
        let requests = numbers.and_then(|line| line.split_whitespace().nth(2)).context("no stub_status")?;
        Ok(requests.parse()?)
    }

    /// The url of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Ended by signal, the master ends its workers; killed, it would leave them behind.
        if let Err(error) = self.process.terminate() {
            assert!(std::thread::panicking(), "nginx did not end: {error}");
        }
    }
}

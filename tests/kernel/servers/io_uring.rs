//! An HTTP server whose every socket call goes through io_uring: `io-uring-server PORT`.

use std::{
    collections::HashMap,
    net::TcpListener,
    os::fd::{AsRawFd as _, RawFd},
};

use anyhow::Context as _;
use io_uring::{IoUring, opcode, types::Fd};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BUFFER: usize = 4096;

/// What a completion belongs to: kind in the low two bits, descriptor above.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CLOSE: u64 = 3;

fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).context("usage: io-uring-server PORT")?.parse::<u16>()?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let mut ring = IoUring::new(256).context("this kernel refuses io_uring")?;
    let mut buffers: HashMap<RawFd, Box<[u8; BUFFER]>> = HashMap::new();
    submit(&mut ring, ACCEPT, listener.as_raw_fd(), &mut buffers)?;
    loop {
        ring.submit_and_wait(1)?;
        let done: Vec<(u64, i32)> =
            ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (data, result) in done {
            let (kind, fd) = (data & 3, (data >> 2) as RawFd);
            match kind {
                ACCEPT => {
                    submit(&mut ring, ACCEPT, fd, &mut buffers)?;
                    if result >= 0 {
                        submit(&mut ring, RECEIVE, result, &mut buffers)?;
                    }
                }
                RECEIVE if result > 0 => submit(&mut ring, SEND, fd, &mut buffers)?,
                SEND if result > 0 => submit(&mut ring, RECEIVE, fd, &mut buffers)?,
                CLOSE => drop(buffers.remove(&fd)),
                _ => submit(&mut ring, CLOSE, fd, &mut buffers)?,
            }
        }
    }
}

fn submit(
    ring: &mut IoUring,
    kind: u64,
    fd: RawFd,
    buffers: &mut HashMap<RawFd, Box<[u8; BUFFER]>>,
) -> anyhow::Result<()> {
    let entry = match kind {
        ACCEPT => opcode::Accept::new(Fd(fd), std::ptr::null_mut(), std::ptr::null_mut()).build(),
        RECEIVE => {
            let buffer = buffers.entry(fd).or_insert_with(|| Box::new([0; BUFFER]));
            opcode::Recv::new(Fd(fd), buffer.as_mut_ptr(), BUFFER as u32).build()
        }
        SEND => opcode::Send::new(Fd(fd), RESPONSE.as_ptr(), RESPONSE.len() as u32).build(),
        _ => opcode::Close::new(Fd(fd)).build(),
    };
    let entry = entry.user_data(kind | (fd as u64) << 2);
    // SAFETY: buffers stay where they are until their descriptor is closed; the response is static.
    unsafe { ring.submission().push(&entry) }.context("the submission queue is full")
}

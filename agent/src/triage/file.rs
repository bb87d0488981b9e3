//! A finished file, judged on all cores; its lines go out in their order.
//!
//! One thread reads chunks of whole lines, some judge them, one writes. The chunks go round the judging threads in turn,
//! so the writer takes them from the threads in the same order. What depends on the order of alerts, their rates, goes from thread
//! to thread: each takes note of its chunk's alerts and hands the rates on before it judges them.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError, Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use gait_common::alert::Rates;
use memchr::{memchr, memchr_iter, memrchr};

use super::judge::{self, Counts, Judge, Setup};
use super::tail::MAX_LINE;

/// How much is judged at a time.
const CHUNK: usize = 512 << 10;
/// Lines judged at a time, at most: each takes some 400 bytes while it is, and a chunk may be nothing but line ends.
const MAX_LINES: usize = 8192;

/// Some lines on their way, with buffers that are used again and again.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    out: Vec<u8>,
    /// Part of a line that is too long, and whether it is the last.
    part: Option<bool>,
}

/// Judges everything that `input` holds. With `at_once`, what comes goes on without waiting for more.
///
/// # Errors
/// When something cannot be read or written.
pub fn judge(
    setup: &Arc<Setup>,
    input: &mut dyn Read,
    out: &mut (dyn Write + Send),
    threads: usize,
    at_once: bool,
) -> Result<Counts> {
    let threads = threads.max(1);
    let mut input = Chunks { input, carry: Vec::new(), within_long: false, at_once };
    thread::scope(|scope| {
        let (free_in, free) = channel();
        let mut rates: Vec<_> = (0..threads).map(|_| sync_channel(1)).collect();
        rates[0].0.send(Rates::default()).map_err(|_| anyhow!("there is no first thread"))?;
        // Each hands on to the next, and the last to the first.
        let mut hand_on: Vec<SyncSender<Rates>> = rates.iter().map(|(sender, _)| sender.clone()).collect();
        hand_on.rotate_left(1);
        let (mut jobs, mut results, mut judges) = (Vec::new(), Vec::new(), Vec::new());
        for ((_, take), give) in rates.drain(..).zip(hand_on) {
            let (job_in, job) = sync_channel(1);
            let (result_in, result) = sync_channel(1);
            let judge = Judge::new(Arc::clone(setup));
            judges.push(scope.spawn(move || work(judge, &job, &result_in, &take, &give)));
            jobs.push(job_in);
            results.push(result);
        }
        let writer = scope.spawn(move || write(out, &results, &free_in, at_once));
        let read = feed(&mut input, &jobs, &free);
        drop(jobs);
        let mut counts = Counts::default();
        for judge in judges {
            counts += &judge.join().map_err(|_| anyhow!("a judging thread panicked"))?;
        }
        // The writer's failure is the cause of the reader's, not the other way round.
        writer.join().map_err(|_| anyhow!("the writing thread panicked"))??;
        read?;
        Ok(counts)
    })
}

fn feed(input: &mut Chunks<'_>, jobs: &[SyncSender<Chunk>], free: &Receiver<Chunk>) -> Result<()> {
    for job in jobs.iter().cycle() {
        let mut chunk = free.try_recv().unwrap_or_default();
        if !input.fill(&mut chunk).context("failed to read the input")? || job.send(chunk).is_err() {
            break;
        }
    }
    Ok(())
}

fn work(
    mut judge: Judge,
    jobs: &Receiver<Chunk>,
    results: &SyncSender<Chunk>,
    take: &Receiver<Rates>,
    give: &SyncSender<Rates>,
) -> Counts {
    while let Ok(mut chunk) = jobs.recv() {
        let Chunk { bytes, out, part } = &mut chunk;
        out.clear();
        if judge_lines(&mut judge, if part.is_some() { &[] } else { bytes }, out, take, give).is_err() {
            break;
        }
        if let Some(last) = *part {
            out.extend_from_slice(bytes);
            if last {
                judge.pass_over();
            }
        }
        if results.send(chunk).is_err() {
            break;
        }
    }
    judge.counts()
}

/// Judges the lines of a chunk; fails when all others have ended.
fn judge_lines(
    judge: &mut Judge,
    bytes: &[u8],
    out: &mut Vec<u8>,
    take: &Receiver<Rates>,
    give: &SyncSender<Rates>,
) -> Result<(), RecvError> {
    let mut rest = lines(bytes);
    let mut next = || -> Vec<(&[u8], judge::Read<'_>)> {
        rest.by_ref().take(MAX_LINES).map(|line| (line, judge::Read::new(line))).collect()
    };
    let mut some = next();
    let mut rates = take.recv()?;
    loop {
        some.iter_mut().for_each(|(_, read)| read.observe(&mut rates));
        if some.len() < MAX_LINES {
            break;
        }
        // There may be more, and the rates are not handed on before all were looked at.
        write_lines(judge, &some, out);
        some = next();
    }
    // Nobody takes them when all others have ended.
    let _ = give.send(rates);
    write_lines(judge, &some, out);
    Ok(())
}

fn write_lines(judge: &mut Judge, lines: &[(&[u8], judge::Read<'_>)], out: &mut Vec<u8>) {
    for (line, read) in lines {
        if line.len() > MAX_LINE {
            judge.pass_over();
            out.extend_from_slice(line);
        } else {
            judge.write(line, read, out);
        }
    }
}

/// Lines with their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    let ends = memchr_iter(b'\n', bytes).map(|at| at + 1);
    let rest = (bytes.last() != Some(&b'\n') && !bytes.is_empty()).then_some(bytes.len());
    ends.chain(rest).map(move |to| {
        let line = &bytes[from..to];
        from = to;
        line
    })
}

fn write(
    out: &mut (dyn Write + Send),
    results: &[Receiver<Chunk>],
    free: &Sender<Chunk>,
    at_once: bool,
) -> io::Result<()> {
    for result in results.iter().cycle() {
        let Ok(chunk) = result.recv() else { break };
        out.write_all(&chunk.out)?;
        if at_once {
            out.flush()?;
        }
        // The reader may be done.
        let _ = free.send(chunk);
    }
    out.flush()
}

/// Cuts a stream into chunks of whole lines.
struct Chunks<'i> {
    input: &'i mut dyn Read,
    /// The beginning of a line whose end was not read yet.
    carry: Vec<u8>,
    within_long: bool,
    at_once: bool,
}

impl Chunks<'_> {
    /// Fills a chunk; false at the end.
    fn fill(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        let bytes = &mut chunk.bytes;
        bytes.clear();
        bytes.append(&mut self.carry);
        chunk.part = None;
        let mut searched = 0;
        let (last, at_end) = loop {
            let want = if bytes.len() < CHUNK { CHUNK } else { MAX_LINE + CHUNK } - bytes.len();
            let read = self.read(bytes, want)?;
            let last = memrchr(b'\n', &bytes[searched..]).map(|at| searched + at);
            searched = if last.is_some() { searched } else { bytes.len() };
            let enough = bytes.len() >= CHUNK || self.at_once;
            if read == 0 || (last.is_some() && enough) || bytes.len() > MAX_LINE {
                break (last, read == 0);
            }
        };
        if bytes.is_empty() {
            return Ok(false);
        }
        if self.within_long {
            let end = memchr(b'\n', bytes).map(|at| at + 1);
            self.within_long = end.is_none() && !at_end;
            chunk.part = Some(!self.within_long);
            self.carry.extend_from_slice(&bytes[end.unwrap_or(bytes.len())..]);
            bytes.truncate(end.unwrap_or(bytes.len()));
        } else if let Some(last) = last.filter(|_| !at_end) {
            self.carry.extend_from_slice(&bytes[last + 1..]);
            bytes.truncate(last + 1);
        } else if !at_end {
            self.within_long = true;
            chunk.part = Some(false);
        }
        Ok(true)
    }

    /// Reads once, or until there is as much as wanted.
    fn read(&mut self, bytes: &mut Vec<u8>, want: usize) -> io::Result<usize> {
        let have = bytes.len();
        if !self.at_once {
            return self.input.take(want as u64).read_to_end(bytes);
        }
        bytes.resize(have + want, 0);
        let read = loop {
            match self.input.read(&mut bytes[have..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        bytes.truncate(have + *read.as_ref().unwrap_or(&0));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &[u8], threads: usize, at_once: bool) -> (Vec<u8>, Counts) {
        let setup = Arc::new(Setup::new(None, None));
        let mut out = Vec::new();
        let counts = judge(&setup, &mut &text[..], &mut out, threads, at_once).expect("memory can be read");
        (out, counts)
    }

    #[test]
    fn every_byte_that_is_no_alert_comes_out_as_it_went_in() {
        let long = "x".repeat(3 << 20);
        let mut text = Vec::new();
        for turn in 0..3000 {
            text.extend(
                format!("{{\"event_type\":\"flow\",\"n\":{turn},\"pad\":\"{}\"}}\r\n", &long[..turn]).bytes(),
            );
            if turn % 1000 == 500 {
                text.extend_from_slice(long.as_bytes());
                text.push(b'\n');
            }
            if turn % 100 == 0 {
                text.extend_from_slice(b"\n\xff\x00 not json\n{\"event_type\":\"al");
                text.push(b'\n');
            }
        }
        text.extend_from_slice(b"{\"half");
        for (threads, at_once) in [(1, false), (2, false), (3, true)] {
            let (out, counts) = judged(&text, threads, at_once);
            assert!(out == text, "{threads} threads");
            let want = Counts { lines: 3094, other: 3030, malformed: 61, too_long: 3, ..Counts::default() };
            assert_eq!(Counts { malformed_because: Default::default(), ..counts }, want);
        }
    }

    #[test]
    fn a_chunk_of_very_many_lines_is_judged_in_parts() {
        for count in [MAX_LINES - 1, MAX_LINES, MAX_LINES + 1, 2 * CHUNK + 7] {
            let mut text = vec![b'\n'; count];
            text.extend_from_slice(b"{\"event_type\":\"flow\"}\n");
            for threads in [1, 3] {
                let (out, counts) = judged(&text, threads, false);
                assert!(out == text, "{count} lines, {threads} threads");
                assert_eq!((counts.lines, counts.other), (count as u64 + 1, count as u64 + 1));
            }
        }
    }

    #[test]
    fn an_empty_input_is_an_empty_output() {
        assert_eq!(judged(b"", 2, false), (Vec::new(), Counts::default()));
    }

    #[test]
    fn a_writer_that_fails_ends_it_all() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from(ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let setup = Arc::new(Setup::new(None, None));
        let mut endless = io::repeat(b'\n');
        let error = judge(&setup, &mut endless, &mut Full, 2, false).expect_err("full");
        assert_eq!(error.downcast_ref::<io::Error>().map(io::Error::kind), Some(ErrorKind::StorageFull));
    }
}

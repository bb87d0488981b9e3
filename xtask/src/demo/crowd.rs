//! The callers: who they are, and how each walks through the shop, a thread each.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::demo::client::{Client, Identity, Request};
use crate::demo::misbehaviour::{self, Misbehaviour};
use crate::demo::persona::Persona;
use crate::demo::shop::{Action, Visit};
use crate::interrupt;

const FIRST_NAMES: &[&str] = &[
    "ann", "ben", "cem", "dan", "eva", "fay", "gus", "hui", "ida", "jan", "kim", "leo", "mia", "noa", "oto",
    "pia", "raj", "sam", "tom", "uma", "vic", "wei", "yan", "zoe",
];

/// A pause between two visits: a shop's hours, scaled down. Longer than any pause within a visit.
const BETWEEN_VISITS: std::ops::Range<u64> = 3200..4800;

/// What a visitor thinks between two actions, in ms: a shop's minutes, scaled down.
const BETWEEN_ACTIONS: std::ops::Range<u64> = 30..110;

/// After so many actions a visitor leaves where that is possible.
const PATIENCE: std::ops::Range<u32> = 7..11;

/// Somebody who uses the shop.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) identity: Identity,
    /// What kind of caller it is.
    pub(crate) persona: Persona,
}

impl Caller {
    fn new(number: usize, persona: Persona, rng: &mut fastrand::Rng) -> Self {
        let first = FIRST_NAMES[rng.usize(..FIRST_NAMES.len())];
        let name = format!("{first}-{number:03}");
        Self { identity: Identity { name, user_agent: persona.user_agent() }, persona }
    }
}

/// `count` callers numbered from `from`, their kinds in fixed shares.
pub(crate) fn callers(from: usize, count: usize, rng: &mut fastrand::Rng) -> Vec<Caller> {
    let kinds: Vec<Persona> =
        Persona::SHARES.iter().flat_map(|(persona, share)| std::iter::repeat_n(*persona, *share)).collect();
    // A step without a common factor mixes the kinds evenly, however many callers there are.
    (0..count).map(|i| Caller::new(from + i, kinds[i * 37 % kinds.len()], rng)).collect()
}

/// Gives each kind of abnormal behaviour to a known caller of the right kind.
pub(crate) fn assign<'c>(
    callers: &'c [Caller],
    rng: &mut fastrand::Rng,
) -> Result<Vec<(&'c Caller, &'static Misbehaviour)>> {
    let mut free: Vec<&Caller> = callers.iter().collect();
    rng.shuffle(&mut free);
    misbehaviour::ALL
        .iter()
        .map(|misbehaviour| {
            let at = free.iter().position(|caller| caller.persona == misbehaviour.persona);
            let at = at.with_context(|| format!("no caller is left for {}", misbehaviour.kind))?;
            Ok((free.swap_remove(at), misbehaviour))
        })
        .collect()
}

/// Lets all callers walk for `time`; each finishes the visit it is in. Gives the number of answers received.
///
/// A caller with a misbehaviour makes an ordinary visit first, then the abnormal one, then ordinary ones again.
///
/// # Errors
/// When a connection fails, or on an interrupt.
pub(crate) fn walk(
    callers: &[(Caller, Option<&'static Misbehaviour>)],
    port: u16,
    time: Duration,
    seed: u64,
) -> Result<u64> {
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        let threads: Vec<_> = callers
            .iter()
            .map(|(caller, misbehaviour)| {
                let rng = fastrand::Rng::with_seed(seed_for(seed, &caller.identity.name));
                let walker = Walker { client: Client::new(caller.identity.clone(), port), rng, answers: 0 };
                std::thread::Builder::new()
                    .stack_size(256 << 10)
                    .spawn_scoped(scope, move || walker.live(caller.persona, *misbehaviour, end))
                    .context("failed to start a caller's thread")
            })
            .collect::<Result<_>>()?;
        let mut answers = 0;
        for (thread, (caller, _)) in threads.into_iter().zip(callers) {
            let walked = thread.join().map_err(|_| anyhow::anyhow!("a caller's thread panicked"))?;
            answers += walked.with_context(|| format!("caller {} could not go on", caller.identity.name))?;
        }
        interrupt::check()?;
        Ok(answers)
    })
}

fn seed_for(seed: u64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, name).hash(&mut hasher);
    hasher.finish()
}

struct Walker {
    client: Client,
    rng: fastrand::Rng,
    answers: u64,
}

impl Walker {
    fn live(
        mut self,
        persona: Persona,
        mut misbehaviour: Option<&Misbehaviour>,
        end: Instant,
    ) -> Result<u64> {
        let arrival = Duration::from_millis(self.rng.u64(..BETWEEN_VISITS.end / 2));
        let mut visits = 0;
        interrupt::sleep(arrival)?;
        while Instant::now() < end || misbehaviour.is_some() {
            match misbehaviour.take_if(|_| visits == 1) {
                Some(abnormal) => self.abnormal_visit(abnormal, persona)?,
                None => self.visit(persona)?,
            }
            visits += 1;
            if self.rng.u8(..3) == 0 {
                self.client.hang_up();
            }
            let pause = Duration::from_millis(self.rng.u64(BETWEEN_VISITS));
            if Instant::now() + pause < end || misbehaviour.is_some() {
                interrupt::sleep(pause)?;
            } else {
                break;
            }
        }
        Ok(self.answers)
    }

    fn visit(&mut self, persona: Persona) -> Result<()> {
        let mut visit = Visit::new(&mut self.rng);
        let mut action = persona.first();
        let mut patience = self.rng.u32(PATIENCE);
        while action != Action::Leave {
            let requests = action.requests(&mut visit, &mut self.rng);
            self.act(&requests, persona)?;
            self.think(BETWEEN_ACTIONS)?;
            patience = patience.saturating_sub(1);
            action = persona.next(action, patience == 0, &mut self.rng);
        }
        Ok(())
    }

    fn abnormal_visit(&mut self, misbehaviour: &Misbehaviour, persona: Persona) -> Result<()> {
        for step in misbehaviour.visit(&mut self.rng) {
            self.act(&step, persona)?;
            self.think(BETWEEN_ACTIONS)?;
        }
        Ok(())
    }

    fn act(&mut self, requests: &[Request], persona: Persona) -> Result<()> {
        // Even an app waits for what it changed before it reads it back.
        if persona.parallel() && requests.iter().all(|request| request.method == "GET") {
            self.answers += self.client.send(requests)?.len() as u64;
            return Ok(());
        }
        for request in requests {
            self.answers += self.client.send(std::slice::from_ref(request))?.len() as u64;
            self.think(1..4)?;
        }
        Ok(())
    }

    fn think(&mut self, milliseconds: std::ops::Range<u64>) -> Result<()> {
        interrupt::sleep(Duration::from_millis(self.rng.u64(milliseconds)))
    }
}

//! Callers of a small shop: who calls what, and when. Normal ones, and five kinds of abnormal ones.

use fastrand::Rng;

/// A value that stands in every query, and in headers and referrers: it must never come out anywhere.
pub(crate) const SECRET: &str = "s3cr3t-c4n4ry";

/// 2 March 2026, midnight, in seconds since 1970.
const MONDAY: u64 = 1_772_409_600;
const DAY: u64 = 86_400;

/// What is wrong with an abnormal visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Checks out without a cart.
    Skipped,
    /// Walks from the order back to the login.
    Reversed,
    /// Reads order after order by counting up the id.
    Enumeration,
    /// Opens what only clerks use.
    Foreign,
    /// Asks for one item again and again.
    Loop,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] =
        [Self::Skipped, Self::Reversed, Self::Enumeration, Self::Foreign, Self::Loop];
}

/// One request of a visit.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Seconds since 1970: whole ones, as access logs have them.
    pub(crate) time: u64,
    pub(crate) duration_ms: u64,
    pub(crate) caller: String,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) status: u16,
    /// The source lost a request of this connection just before.
    pub(crate) gap: bool,
    /// The source lost requests just before, nobody knows whose.
    pub(crate) interrupted: bool,
}

/// One caller's visit.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) caller: String,
    pub(crate) fault: Option<Fault>,
    pub(crate) requests: Vec<Request>,
}

/// A day's visits: `normal` ordinary ones, and `abnormal` of each kind. Every visit has its own caller.
pub(crate) fn day(seed: u64, number: u64, normal: usize, abnormal: usize) -> Vec<Visit> {
    let mut rng = Rng::with_seed(seed);
    let faults = Fault::ALL.into_iter().flat_map(|fault| std::iter::repeat_n(Some(fault), abnormal));
    let kinds = std::iter::repeat_n(None, normal).chain(faults);
    let start = MONDAY + number * DAY + 8 * 3600;
    kinds.enumerate().map(|(at, fault)| visit(&mut rng, number, at, fault, start)).collect()
}

/// All requests in order of time.
pub(crate) fn requests(visits: &[Visit]) -> Vec<Request> {
    let mut requests: Vec<Request> = visits.iter().flat_map(|visit| visit.requests.clone()).collect();
    requests.sort_by_key(|request| request.time);
    requests
}

fn visit(rng: &mut Rng, day: u64, at: usize, fault: Option<Fault>, start: u64) -> Visit {
    let caller = format!("10.{day}.{}.{}", at / 250, at % 250 + 1);
    let walk = match fault {
        None => match rng.u32(0..100) {
            0..45 => buyer(rng),
            45..70 => looker(rng),
            70..90 => customer(rng),
            _ => clerk(rng),
        },
        Some(fault) => abnormal(rng, fault),
    };
    let mut time = start + rng.u64(0..10 * 3600);
    let requests = walk.into_iter().map(|(method, target)| {
        time += rng.u64(2..40);
        Request {
            time,
            duration_ms: rng.u64(2..90),
            caller: caller.clone(),
            method,
            target,
            status: 200,
            gap: false,
            interrupted: false,
        }
    });
    Visit { requests: requests.collect(), caller, fault }
}

type Walk = Vec<(&'static str, String)>;

fn get(path: impl Into<String>) -> (&'static str, String) {
    ("GET", path.into())
}

fn post(path: impl Into<String>) -> (&'static str, String) {
    ("POST", path.into())
}

fn list(rng: &mut Rng) -> (&'static str, String) {
    get(format!("/api/items?page={}&token={SECRET}", rng.u32(1..9)))
}

fn item(rng: &mut Rng) -> (&'static str, String) {
    get(format!("/api/items/{}", rng.u32(1..5000)))
}

fn login() -> (&'static str, String) {
    post(format!("/api/login?next={SECRET}"))
}

fn buyer(rng: &mut Rng) -> Walk {
    let mut walk = vec![login(), list(rng)];
    for _ in 0..rng.u32(1..4) {
        walk.push(item(rng));
        if rng.bool() {
            walk.push(post("/api/cart"));
        }
    }
    walk.extend([item(rng), post("/api/cart"), get("/api/cart"), post("/api/checkout")]);
    walk.push(get(format!("/api/orders/{}", rng.u32(1..90_000))));
    walk
}

fn looker(rng: &mut Rng) -> Walk {
    let mut walk = vec![get("/"), list(rng)];
    for _ in 0..rng.u32(1..6) {
        walk.push(if rng.u32(0..4) == 0 { list(rng) } else { item(rng) });
    }
    walk
}

fn customer(rng: &mut Rng) -> Walk {
    let mut walk = vec![login(), get("/api/profile"), get("/api/orders")];
    for _ in 0..rng.u32(1..4) {
        walk.push(get(format!("/api/orders/{}", rng.u32(1..90_000))));
    }
    walk.push(post("/api/logout"));
    walk
}

fn clerk(rng: &mut Rng) -> Walk {
    let mut walk = vec![login(), get("/api/admin/orders")];
    for _ in 0..rng.u32(2..6) {
        let order = rng.u32(1..90_000);
        walk.push(get(format!("/api/admin/orders/{order}")));
        walk.push(post(format!("/api/admin/orders/{order}/ship")));
    }
    walk.push(post("/api/logout"));
    walk
}

fn abnormal(rng: &mut Rng, fault: Fault) -> Walk {
    let order = rng.u32(1..90_000);
    match fault {
        Fault::Skipped => {
            vec![login(), list(rng), item(rng), post("/api/checkout"), get(format!("/api/orders/{order}"))]
        }
        Fault::Reversed => {
            let mut walk = buyer(rng);
            walk.reverse();
            walk
        }
        Fault::Enumeration => {
            let mut walk = vec![login(), get("/api/profile"), get("/api/orders")];
            walk.extend((0..25).map(|next| get(format!("/api/orders/{}", order + next))));
            walk
        }
        Fault::Foreign => {
            let mut walk = vec![get("/"), list(rng), item(rng)];
            walk.extend([get("/api/admin/orders"), get(format!("/api/admin/orders/{order}"))]);
            walk.push(get("/api/admin/users"));
            walk
        }
        Fault::Loop => {
            let (list, item) = (list(rng), item(rng));
            [get("/"), list].into_iter().chain(std::iter::repeat_n(item, 40)).collect()
        }
    }
}

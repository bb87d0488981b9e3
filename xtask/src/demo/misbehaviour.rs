//! What abnormal callers do. Each is an ordinary, known caller that for one visit walks differently.

use crate::demo::client::Request;
use crate::demo::persona::Persona;
use crate::demo::shop::Action::{self, *};
use crate::demo::shop::Visit;

/// One kind of abnormal behaviour.
pub(crate) struct Misbehaviour {
    /// A short name.
    pub(crate) kind: &'static str,
    /// What it is, for people.
    pub(crate) about: &'static str,
    /// The kind of caller that does it.
    pub(crate) persona: Persona,
    script: fn(&mut Visit, &mut fastrand::Rng) -> Vec<Vec<Request>>,
}

/// All that are mixed in.
pub(crate) const ALL: &[Misbehaviour] = &[
    Misbehaviour {
        kind: "skipped step",
        about: "a buyer confirms the order without having paid",
        persona: Persona::Buyer,
        script: |visit, rng| {
            actions(
                &[OpenShop, LogIn, Search, ViewItem, AddToCart, ViewCart, CheckOut, GiveAddress, Confirm],
                visit,
                rng,
            )
        },
    },
    Misbehaviour {
        kind: "reversed order",
        about: "a buyer walks the checkout backwards",
        persona: Persona::Buyer,
        script: |visit, rng| {
            actions(
                &[OpenShop, LogIn, Search, ViewItem, Confirm, Pay, GiveAddress, CheckOut, ViewCart],
                visit,
                rng,
            )
        },
    },
    Misbehaviour {
        kind: "enumeration of ids",
        about: "a customer reads order after order by counting up the id",
        persona: Persona::Returning,
        script: |visit, rng| {
            let mut steps = actions(&[OpenShop, LogIn, ListOrders, ViewOrder], visit, rng);
            for _ in 0..24 {
                visit.order += 1;
                steps.push(vec![visit.request("GET", "/api/orders/{order}")]);
            }
            steps
        },
    },
    Misbehaviour {
        kind: "foreign endpoint",
        about: "a window shopper opens the back office",
        persona: Persona::Browser,
        script: |visit, rng| {
            actions(
                &[OpenShop, LogIn, OpenCategory, ViewItem, AdminUsers, AdminUser, AdminOrders],
                visit,
                rng,
            )
        },
    },
    Misbehaviour {
        kind: "tight loop",
        about: "a bot in the app's name asks for one item's stock again and again",
        persona: Persona::Mobile,
        script: |visit, rng| {
            let mut steps = actions(&[StartApp, Search, ViewItem], visit, rng);
            let poll = visit.request("GET", "/api/items/{item}/stock");
            steps.extend(std::iter::repeat_n(vec![poll], 30));
            steps
        },
    },
    Misbehaviour {
        kind: "probing",
        about: "a visitor looks for files that are not there",
        persona: Persona::Browser,
        script: |visit, rng| {
            let mut steps = actions(&[OpenShop, OpenCategory], visit, rng);
            for path in ["/.env", "/.git/config", "/api/debug", "/api/v1/users", "/backup.sql"] {
                steps.push(vec![visit.request("GET", path)]);
            }
            steps
        },
    },
    Misbehaviour {
        kind: "unchecked refunds",
        about: "a clerk refunds order after order without opening one",
        persona: Persona::Admin,
        script: |visit, rng| {
            let mut steps = actions(&[LogIn, AdminStart, AdminOrders], visit, rng);
            for _ in 0..8 {
                visit.order += 1;
                steps.push(vec![visit.request("POST", "/api/admin/orders/{order}/refund")]);
            }
            steps
        },
    },
    Misbehaviour {
        kind: "guessing",
        about: "a buyer tries coupon after coupon",
        persona: Persona::Buyer,
        script: |visit, rng| {
            let mut steps = actions(&[OpenShop, LogIn, Search, ViewItem, AddToCart, ViewCart], visit, rng);
            for _ in 0..15 {
                let code = format!("/api/coupons/SALE{}", rng.u32(10..99));
                steps.push(vec![visit.request("GET", &code)]);
            }
            steps
        },
    },
];

impl Misbehaviour {
    /// The abnormal visit: what is sent, step by step.
    pub(crate) fn visit(&self, rng: &mut fastrand::Rng) -> Vec<Vec<Request>> {
        (self.script)(&mut Visit::new(rng), rng)
    }
}

fn actions(actions: &[Action], visit: &mut Visit, rng: &mut fastrand::Rng) -> Vec<Vec<Request>> {
    actions.iter().map(|action| action.requests(visit, rng)).collect()
}

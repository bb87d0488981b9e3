//! The kinds of callers, each a small state machine over actions: what comes next, and how often.

use crate::demo::shop::Action::{self, *};

/// A kind of caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Persona {
    /// Looks around and leaves.
    Browser,
    /// Comes to buy, and mostly does.
    Buyer,
    /// Looks after earlier orders.
    Returning,
    /// The shop's app: taps trigger calls in parallel.
    Mobile,
    /// Works in the back office.
    Admin,
}

/// What may follow an action, with weights.
type Next = &'static [(u32, Action)];

impl Persona {
    /// In a hundred callers, how many are of which kind.
    pub(crate) const SHARES: &'static [(Persona, usize)] = &[
        (Self::Browser, 32),
        (Self::Buyer, 26),
        (Self::Returning, 18),
        (Self::Mobile, 16),
        (Self::Admin, 8),
    ];

    /// The program it comes with.
    pub(crate) fn user_agent(self) -> &'static str {
        match self {
            Self::Browser | Self::Returning => {
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
            }
            Self::Buyer => {
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36"
            }
            Self::Mobile => "ShopApp/4.2.0 (Android 16)",
            Self::Admin => "Backoffice/2.7",
        }
    }

    /// Whether the calls of one action go out at the same time.
    pub(crate) fn parallel(self) -> bool {
        self == Self::Mobile
    }

    /// The first action of a visit.
    pub(crate) fn first(self) -> Action {
        match self {
            Self::Browser | Self::Buyer | Self::Returning => OpenShop,
            Self::Mobile => StartApp,
            Self::Admin => LogIn,
        }
    }

    /// Draws what follows `action`. Who is `tired` takes the shortest way out, through the till if need be.
    pub(crate) fn next(self, action: Action, tired: bool, rng: &mut fastrand::Rng) -> Action {
        let next = match self {
            Self::Browser => browser(action),
            Self::Buyer => buyer(action),
            Self::Returning => returning(action),
            Self::Mobile => mobile(action),
            Self::Admin => admin(action),
        };
        let leads_out = |action: &Action| matches!(action, Leave | LogOut | CheckOut | ViewCart | AddToCart);
        let way_out = next.iter().map(|(_, action)| *action).find(leads_out);
        if let Some(way_out) = way_out.filter(|_| tired) {
            return way_out;
        }
        let mut draw = rng.u32(..next.iter().map(|(weight, _)| weight).sum::<u32>().max(1));
        for (weight, action) in next {
            match draw.checked_sub(*weight) {
                None => return *action,
                Some(rest) => draw = rest,
            }
        }
        Leave
    }
}

fn browser(action: Action) -> Next {
    match action {
        OpenShop => &[(5, OpenCategory), (4, Search), (1, LogIn)],
        LogIn => &[(6, OpenCategory), (4, Search)],
        OpenCategory | NextPage => &[(6, ViewItem), (2, NextPage), (1, OpenCategory), (1, Leave)],
        Search => &[(7, ViewItem), (2, Search), (1, OpenCategory)],
        ViewItem => &[(5, ViewItem), (3, OpenCategory), (2, Search), (3, Leave), (1, AddToCart)],
        AddToCart => &[(4, ViewItem), (3, OpenCategory), (2, Leave)],
        _ => &[],
    }
}

fn buyer(action: Action) -> Next {
    match action {
        OpenShop => &[(8, LogIn), (2, Search)],
        LogIn => &[(5, Search), (5, OpenCategory), (1, ViewCart)],
        OpenCategory | NextPage => &[(8, ViewItem), (2, NextPage)],
        Search => &[(9, ViewItem), (2, Search)],
        ViewItem => &[(6, AddToCart), (3, ViewItem), (2, OpenCategory), (2, Search)],
        AddToCart => &[(3, ViewItem), (5, ViewCart), (1, OpenCategory), (1, Search)],
        ViewCart => &[(7, CheckOut), (2, ChangeCart), (2, UseCoupon), (1, Leave)],
        ChangeCart | UseCoupon => &[(8, CheckOut), (1, ViewItem), (1, ChangeCart)],
        CheckOut => &[(1, GiveAddress)],
        GiveAddress => &[(1, Pay)],
        Pay => &[(1, Confirm)],
        Confirm => &[(4, Leave), (3, LogOut), (1, ListOrders)],
        ListOrders => &[(1, LogOut), (1, Leave)],
        _ => &[],
    }
}

fn returning(action: Action) -> Next {
    match action {
        OpenShop => &[(1, LogIn)],
        LogIn => &[(7, ListOrders), (2, ViewProfile)],
        ListOrders => &[(9, ViewOrder), (1, LogOut)],
        ViewOrder => &[(4, GetInvoice), (2, ReturnOrder), (2, ListOrders), (1, ViewProfile), (2, LogOut)],
        GetInvoice => &[(3, LogOut), (2, ListOrders), (2, Leave)],
        ReturnOrder => &[(3, LogOut), (2, ListOrders), (1, Leave)],
        ViewProfile => &[(4, EditProfile), (3, ListOrders), (1, LogOut)],
        EditProfile => &[(4, LogOut), (2, ListOrders), (1, Leave)],
        _ => &[],
    }
}

fn mobile(action: Action) -> Next {
    match action {
        StartApp => &[(5, Search), (4, OpenCategory), (2, ListOrders)],
        OpenCategory | NextPage => &[(6, ViewItem), (3, NextPage)],
        Search => &[(8, ViewItem), (2, Search)],
        ViewItem => &[(4, CheckStock), (4, ViewItem), (2, Search), (2, Leave)],
        CheckStock => &[(5, AddToCart), (3, ViewItem), (1, Leave)],
        AddToCart => &[(5, CheckOut), (3, ViewItem), (2, Leave)],
        CheckOut => &[(1, GiveAddress)],
        GiveAddress => &[(1, Pay)],
        Pay => &[(1, Confirm)],
        Confirm => &[(1, Leave)],
        ListOrders => &[(1, ViewOrder)],
        ViewOrder => &[(3, Leave), (2, ListOrders), (2, Search)],
        _ => &[],
    }
}

fn admin(action: Action) -> Next {
    match action {
        LogIn => &[(1, AdminStart)],
        AdminStart => &[(7, AdminOrders), (2, AdminReport), (1, AdminUsers)],
        AdminOrders => &[(1, AdminOrder)],
        AdminOrder => &[(6, AdminShip), (1, AdminRefund), (2, AdminNote), (1, AdminOrders)],
        AdminShip => &[(6, AdminOrder), (2, AdminOrders), (1, AdminStock), (1, LogOut)],
        AdminRefund => &[(3, AdminNote), (2, AdminOrders)],
        AdminNote => &[(4, AdminOrders), (3, AdminOrder), (1, LogOut)],
        AdminStock => &[(4, AdminStock), (3, AdminOrders), (1, LogOut)],
        AdminReport => &[(3, AdminOrders), (1, AdminUsers), (2, LogOut)],
        AdminUsers => &[(1, AdminUser)],
        AdminUser => &[(3, AdminUsers), (2, AdminOrders), (1, LogOut)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visit_ends_and_nobody_pays_what_was_not_checked_out() {
        let mut rng = fastrand::Rng::with_seed(7);
        for (persona, _) in Persona::SHARES {
            for _ in 0..500 {
                let mut walk = vec![persona.first()];
                while walk.last() != Some(&Leave) {
                    let next = persona.next(walk[walk.len() - 1], walk.len() > 20, &mut rng);
                    walk.push(next);
                    assert!(walk.len() < 50, "{persona:?} does not leave: {walk:?}");
                }
                let at = |action| walk.iter().position(|step| *step == action);
                if let Some(pay) = at(Pay) {
                    assert!(at(CheckOut).is_some_and(|check_out| check_out < pay), "{walk:?}");
                }
            }
        }
    }
}

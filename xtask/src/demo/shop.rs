//! The shop: what nginx answers, and the actions a person or a program can take there.

use crate::demo::client::Request;

/// nginx's `server` block: a small shop's API with plausible JSON answers.
pub(crate) const SERVER: &str = r#"
default_type application/json;
location = /api/home { return 200 '{"banner":"autumn sale","featured":[1017,1342,1555]}'; }
location = /api/recommendations { return 200 '{"items":[1103,1208,1404,1722]}'; }
location = /api/login { return 200 '{"user":"$remote_user","token":"$request_id","expires_in":3600}'; }
location = /api/logout { return 204; }
location = /api/profile { return 200 '{"user":"$remote_user","language":"en","newsletter":false}'; }
location = /api/profile/addresses { return 200 '[{"id":1,"city":"Lyon"},{"id":2,"city":"Graz"}]'; }
location = /api/notifications { return 200 '{"unread":2}'; }
location = /api/search { return 200 '{"query":"$arg_q","hits":[1011,1200,1633],"total":3}'; }
location = /api/cart { return 200 '{"items":[{"id":1017,"count":1}],"total":"24.90"}'; }
location = /api/cart/items { return 201 '{"added":true}'; }
location ~ ^/api/cart/items/(\d+)$ { return 200 '{"item":$1,"changed":true}'; }
location = /api/items {
    return 200 '{"category":"$arg_category","page":"$arg_page","items":[{"id":1017,"price":"12.90"},{"id":1342,"price":"7.50"}]}';
}
location ~ ^/api/items/(1\d\d\d)$ { return 200 '{"id":$1,"name":"item $1","price":"12.90","in_stock":true}'; }
location ~ ^/api/items/(1\d\d\d)/reviews$ { return 200 '{"item":$1,"stars":4.3,"reviews":[]}'; }
location ~ ^/api/items/(1\d\d\d)/stock$ { return 200 '{"item":$1,"stock":3}'; }
location ~ ^/api/coupons/(AUTUMN10|WELCOME5)$ { return 200 '{"coupon":"$1","valid":true}'; }
location ~ ^/api/coupons/ { return 404 '{"error":"no such coupon"}'; }
location = /api/checkout { return 201 '{"checkout":"$request_id"}'; }
location ~ ^/api/checkout/([0-9a-f]+)/(address|payment|confirm)$ { return 200 '{"checkout":"$1","step":"$2","ok":true}'; }
location = /api/orders { return 200 '{"orders":[{"id":48201733,"state":"sent"}]}'; }
location ~ ^/api/orders/(\d+)$ { return 200 '{"id":$1,"state":"sent","total":"32.40"}'; }
location ~ ^/api/orders/(\d+)/(invoice|return)$ { return 200 '{"id":$1,"document":"$2"}'; }
location = /api/mobile/config { return 200 '{"version":"4.2.0","update":false}'; }
location = /api/mobile/home { return 200 '{"tiles":[1017,1342],"badge":2}'; }
location = /api/admin/dashboard { return 200 '{"open_orders":17,"returns":3}'; }
location = /api/admin/orders { return 200 '{"orders":[48201733,48201734],"page":"$arg_page"}'; }
location ~ ^/api/admin/orders/(\d+)$ { return 200 '{"id":$1,"customer":"bob-003","state":"paid"}'; }
location ~ ^/api/admin/orders/(\d+)/(ship|refund|note)$ { return 200 '{"id":$1,"done":"$2"}'; }
location ~ ^/api/admin/items/(\d+)/stock$ { return 200 '{"id":$1,"stock":40}'; }
location = /api/admin/users { return 200 '{"users":[3,17,41]}'; }
location ~ ^/api/admin/users/(\d+)$ { return 200 '{"id":$1,"orders":4}'; }
location = /api/admin/reports/daily { return 200 '{"revenue":"4210.40"}'; }
location / { return 404 '{"error":"not found"}'; }
"#;

const CATEGORIES: &[&str] = &["books", "garden", "kitchen", "music", "shoes", "toys"];
const WORDS: &[&str] = &["lamp", "teapot", "boots", "novel", "strings", "spade", "puzzle", "kettle"];
/// The last one has expired.
const COUPONS: &[&str] = &["AUTUMN10", "AUTUMN10", "WELCOME5", "SPRING15"];

/// What one click, tap or scripted action triggers: one call or several right after each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    OpenShop,
    LogIn,
    LogOut,
    OpenCategory,
    NextPage,
    Search,
    ViewItem,
    AddToCart,
    ViewCart,
    ChangeCart,
    UseCoupon,
    CheckOut,
    GiveAddress,
    Pay,
    Confirm,
    ListOrders,
    ViewOrder,
    GetInvoice,
    ReturnOrder,
    ViewProfile,
    EditProfile,
    StartApp,
    CheckStock,
    AdminStart,
    AdminOrders,
    AdminOrder,
    AdminShip,
    AdminRefund,
    AdminNote,
    AdminStock,
    AdminUsers,
    AdminUser,
    AdminReport,
    Leave,
}

impl Action {
    /// The calls it makes: method, target with `{placeholders}`, and how many in a hundred times.
    fn calls(self) -> &'static [(&'static str, &'static str, u8)] {
        match self {
            Self::OpenShop => &[("GET", "/api/home", 100), ("GET", "/api/recommendations", 100)],
            Self::LogIn => &[
                ("POST", "/api/login", 100),
                ("GET", "/api/profile", 100),
                ("GET", "/api/notifications", 100),
            ],
            Self::LogOut => &[("POST", "/api/logout", 100)],
            Self::OpenCategory | Self::NextPage => {
                &[("GET", "/api/items?category={category}&page={page}", 100)]
            }
            Self::Search => &[("GET", "/api/search?q={word}", 100)],
            Self::ViewItem => &[("GET", "/api/items/{item}", 100), ("GET", "/api/items/{item}/reviews", 75)],
            Self::AddToCart => &[("POST", "/api/cart/items", 100), ("GET", "/api/cart", 100)],
            Self::ViewCart => &[("GET", "/api/cart", 100)],
            Self::ChangeCart => &[("PUT", "/api/cart/items/{item}", 100), ("GET", "/api/cart", 100)],
            Self::UseCoupon => &[("GET", "/api/coupons/{coupon}", 100), ("GET", "/api/cart", 100)],
            Self::CheckOut => &[("POST", "/api/checkout", 100), ("GET", "/api/profile/addresses", 100)],
            Self::GiveAddress => &[("PUT", "/api/checkout/{checkout}/address", 100)],
            Self::Pay => &[("POST", "/api/checkout/{checkout}/payment", 100)],
            Self::Confirm => {
                &[("POST", "/api/checkout/{checkout}/confirm", 100), ("GET", "/api/orders/{order}", 100)]
            }
            Self::ListOrders => &[("GET", "/api/orders", 100)],
            Self::ViewOrder => &[("GET", "/api/orders/{order}", 100)],
            Self::GetInvoice => &[("GET", "/api/orders/{order}/invoice", 100)],
            Self::ReturnOrder => {
                &[("POST", "/api/orders/{order}/return", 100), ("GET", "/api/orders/{order}", 100)]
            }
            Self::ViewProfile => &[("GET", "/api/profile", 100), ("GET", "/api/profile/addresses", 60)],
            Self::EditProfile => &[("PUT", "/api/profile", 100), ("GET", "/api/profile", 100)],
            Self::StartApp => &[
                ("GET", "/api/mobile/config", 100),
                ("GET", "/api/mobile/home", 100),
                ("GET", "/api/notifications", 100),
            ],
            Self::CheckStock => &[("GET", "/api/items/{item}/stock", 100)],
            Self::AdminStart => &[("GET", "/api/admin/dashboard", 100), ("GET", "/api/notifications", 100)],
            Self::AdminOrders => &[("GET", "/api/admin/orders?page={page}", 100)],
            Self::AdminOrder => &[("GET", "/api/admin/orders/{order}", 100)],
            Self::AdminShip => &[("POST", "/api/admin/orders/{order}/ship", 100)],
            Self::AdminRefund => &[
                ("POST", "/api/admin/orders/{order}/refund", 100),
                ("GET", "/api/admin/orders/{order}", 100),
            ],
            Self::AdminNote => &[("POST", "/api/admin/orders/{order}/note", 100)],
            Self::AdminStock => &[("PUT", "/api/admin/items/{item}/stock", 100)],
            Self::AdminUsers => &[("GET", "/api/admin/users", 100)],
            Self::AdminUser => &[("GET", "/api/admin/users/{user}", 100)],
            Self::AdminReport => &[("GET", "/api/admin/reports/daily", 100)],
            Self::Leave => &[],
        }
    }

    /// The requests it makes now, by what the visitor has in hand.
    pub(crate) fn requests(self, visit: &mut Visit, rng: &mut fastrand::Rng) -> Vec<Request> {
        visit.prepare(self, rng);
        let calls = self.calls().iter().filter(|(_, _, chance)| rng.u8(..100) < *chance).collect::<Vec<_>>();
        calls.into_iter().map(|(method, target, _)| visit.request(method, target)).collect()
    }
}

/// What a visitor has in hand during one visit.
#[derive(Default)]
pub(crate) struct Visit {
    category: &'static str,
    word: &'static str,
    coupon: &'static str,
    page: u32,
    /// The item looked at last; ids are 1000 to 1999.
    pub(crate) item: u32,
    /// The order looked at last; ids have eight digits.
    pub(crate) order: u32,
    checkout: String,
    user: u32,
}

impl Visit {
    /// A visitor who has just come.
    pub(crate) fn new(rng: &mut fastrand::Rng) -> Self {
        let mut visit = Self { page: 1, item: rng.u32(1000..2000), ..Self::default() };
        visit.order = rng.u32(48_000_000..49_000_000);
        visit.checkout = format!("{:032x}", rng.u128(..));
        visit.category = CATEGORIES[rng.usize(..CATEGORIES.len())];
        visit
    }

    /// Chooses what an action is about, before it is taken.
    fn prepare(&mut self, action: Action, rng: &mut fastrand::Rng) {
        match action {
            Action::OpenCategory | Action::AdminOrders => {
                self.category = CATEGORIES[rng.usize(..CATEGORIES.len())];
                self.page = 1;
            }
            Action::NextPage => self.page += 1,
            Action::Search => self.word = WORDS[rng.usize(..WORDS.len())],
            Action::UseCoupon => self.coupon = COUPONS[rng.usize(..COUPONS.len())],
            Action::ViewItem | Action::AdminStock => self.item = rng.u32(1000..2000),
            Action::ViewOrder | Action::AdminOrder => self.order = rng.u32(48_000_000..49_000_000),
            Action::CheckOut => self.checkout = format!("{:032x}", rng.u128(..)),
            Action::AdminUser => self.user = rng.u32(1..2000),
            _ => {}
        }
    }

    /// A request with the placeholders filled in.
    pub(crate) fn request(&self, method: &'static str, target: &str) -> Request {
        let target = target
            .replace("{category}", self.category)
            .replace("{page}", &self.page.to_string())
            .replace("{word}", self.word)
            .replace("{coupon}", self.coupon)
            .replace("{item}", &self.item.to_string())
            .replace("{order}", &self.order.to_string())
            .replace("{checkout}", &self.checkout)
            .replace("{user}", &self.user.to_string());
        let body = match method {
            "POST" | "PUT" => format!("{{\"item\":{},\"order\":{},\"count\":1}}", self.item, self.order),
            _ => String::new(),
        };
        Request { method, target, body }
    }
}

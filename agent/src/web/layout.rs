//! What every page has.

use maud::{DOCTYPE, Markup, html};

/// A whole page.
pub(super) fn page(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Gait" }
                link rel="stylesheet" href="/assets/style.css";
                script src="/assets/page.js" defer {}
            }
            body {
                a .skip href="#main" { "To the content" }
                header .top {
                    a .brand href="/" { "Gait" }
                    nav aria-label="Pages" {
                        a href="/screen" { "Screening" }
                    }
                }
                main #main { (body) }
            }
        }
    }
}

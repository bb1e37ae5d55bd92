//! `cargo xtask screenshots DIR`: a picture of every page and state, in both themes and three widths.

use std::path::Path;

use anyhow::{Context, Result};

use crate::chromium::{THEMES, Window};
use crate::gallery::{self, Names};

/// Widths in CSS pixels: a desk, a tablet, a telephone.
pub const WIDTHS: [u64; 3] = [1440, 768, 390];

/// No picture is higher; long lists go on as they begin.
const HIGHEST: u64 = 3000;

/// Writes `NAME-WIDTH-THEME.png` files to `folder`, which it makes.
///
/// # Errors
/// When a page cannot be shown or a file not written.
pub fn run(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut written = 0;
    gallery::tour(Names::Ordinary, &mut |name, window| {
        written += pictures(name, window, folder)?;
        println!("  ✓ {name}");
        Ok(())
    })?;
    println!("{written} pictures in {}", folder.display());
    Ok(())
}

/// One picture of each width and theme; gives their number.
fn pictures(name: &str, window: &Window<'_>, folder: &Path) -> Result<usize> {
    for width in WIDTHS {
        window.resize(width, 900)?;
        let height = window.run("return document.documentElement.scrollHeight")?;
        let height = height.as_u64().context("a page without a height")?;
        window.resize(width, height.clamp(600, HIGHEST))?;
        for theme in THEMES {
            window.wear(theme)?;
            let file = format!("{name}-{width}-{}.png", theme.name());
            window.picture(&folder.join(file))?;
        }
    }
    Ok(WIDTHS.len() * THEMES.len())
}

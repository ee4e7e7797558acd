//! What is fetched from registries, or built from it, is kept outside the repository: `$XDG_CACHE_HOME/ottla-compat`.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The repository's top folder.
pub fn repository() -> PathBuf {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_string());
    let folder = PathBuf::from(manifest);
    if folder.ends_with("compat-tests") { folder.parent().expect("it ends with a name").to_path_buf() } else { folder }
}

/// The folder of this package.
pub fn compat_tests() -> PathBuf {
    repository().join("compat-tests")
}

/// The cache's folder, which exists.
pub fn folder() -> anyhow::Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache")
        }
    };
    let folder = base.join("ottla-compat");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The folder `<cache>/<name>-<hash of the inputs>`, filled by `fill` unless an earlier run has finished doing so.
///
/// `inputs` are the files that decide what is in it (lock files, sources). Two runners at once wait for each other.
pub fn filled(
    name: &str,
    inputs: &[PathBuf],
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let cache = folder()?;
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    let mut bytes = Vec::new();
    for input in inputs {
        bytes.extend(std::fs::read(input).with_context(|| format!("cannot read {}", input.display()))?);
    }
    let folder = cache.join(format!("{name}-{:08x}", crc32c::crc32c(&bytes)));
    if !folder.join(".complete").exists() {
        std::fs::create_dir_all(&folder)?;
        println!("      preparing {name} in {}", folder.display());
        fill(&folder)?;
        File::create(folder.join(".complete"))?;
    }
    Ok(folder)
}

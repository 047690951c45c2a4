//! Files and directories for the user of the process alone: directories of data, and secrets as files hold them.

use std::fs;
use std::io;
use std::path::Path;

/// Makes a directory, and those above it that are missing, so that nobody else may look into them. One that is there
/// is closed to others as well.
///
/// # Errors
/// When it cannot be made, or belongs to somebody else.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    close_to_others(dir)
}

#[cfg(unix)]
fn close_to_others(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(dir)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(mode & 0o700))
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A secret as a file holds it, without the one line end that editors add, of whichever system.
#[must_use]
pub fn without_line_end(secret: &[u8]) -> &[u8] {
    match secret.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => secret,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_look_into_a_directory_of_data() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |dir: &Path| fs::metadata(dir).unwrap().permissions().mode() & 0o777;
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        make_dir(&data.join("log")).unwrap();
        assert_eq!((mode(&data), mode(&data.join("log"))), (0o700, 0o700));
        // One of an earlier build.
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        make_dir(&data).unwrap();
        assert_eq!(mode(&data), 0o700);
    }

    #[test]
    fn one_line_end_of_any_system_is_no_part_of_a_secret() {
        for (file, secret) in [
            ("s", "s"),
            ("s\n", "s"),
            ("s\r\n", "s"),
            ("s\n\n", "s\n"),
            ("s\r", "s\r"),
            ("s ", "s "),
        ] {
            assert_eq!(
                without_line_end(file.as_bytes()),
                secret.as_bytes(),
                "{file:?}"
            );
        }
    }
}

//! A server that may open few files: it refuses sockets before its log starves.

use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::{Process, Talk, bare, xp};

const RED: &str = r#"{"type":"Draw","data":{"colour":"red","points":[[1,2]]}}"#;
/// Far more than the sockets that there is room for.
const SOCKETS: usize = 300;

/// `xp dev` under a limit, which the shell sets for it.
fn limited(files: u32, data: &std::path::Path) -> Command {
    let mut command = Command::new("bash");
    let program = bare(data).as_std().get_program().to_owned();
    let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
    command.current_dir(data).arg("-c").arg(script).arg(program);
    command
        .args(["dev", "--listen", "127.0.0.1:0", "--data"])
        .arg(data);
    command.stdin(std::process::Stdio::null());
    command
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn sockets_are_refused_before_the_log_has_no_files_left() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Process::spawn(&mut limited(160, data.path()));
    let greeting = server.says("listening on ws://").await;
    let addr = greeting.split(' ').next().unwrap();
    let url = format!("ws://{addr}");
    let mut ana = Talk::with(&mut xp(&["connect", "board/1", "--url", &url], data.path()));
    ana.sees(&["welcome"]).await;
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(TcpStream::connect(addr).await);
    }
    // Who is in goes on, also on boards whose log was not open yet.
    for n in 1..=20 {
        ana.types(RED).await;
        ana.sees(&[&format!("reply {n} "), "Drawn"]).await;
    }
    drop(sockets);
    let mut ben = Talk::with(&mut xp(&["connect", "board/2", "--url", &url], data.path()));
    ben.types(RED).await;
    ben.sees(&["reply 1 ", "Drawn"]).await;
    assert_eq!(ben.ends().await, Some(0));
    assert_eq!(ana.ends().await, Some(0));
    assert_eq!(server.terminate().await, Some(0));
}

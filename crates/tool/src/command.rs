//! A program as a tool: an argument vector, a clean environment, a time-out, and nothing left behind.

use std::{
    ffi::OsString,
    fs::{DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _},
        process::ExitStatusExt as _,
    },
    path::{Component, Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use agent::{CommandSpec, Fault, FaultKind, Outcome, ToolSpec};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

use crate::{
    made,
    output::{Head, Secrets, Tail, failed, last_lines, limit, uncertain},
    seam::{Call, Ended},
    standard::ToolSettings,
    template::{Piece, pieces, plain},
};

/// Where programs are looked for when the gateway itself has no PATH.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// How long output is still read after the program and its group are gone: only a program that left its group could
/// hold the pipe open longer.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs one call.
pub(crate) async fn run(
    spec: &ToolSpec,
    command: &CommandSpec,
    call: Call<'_>,
    settings: &ToolSettings,
) -> Ended {
    let secrets = secrets(spec, command, call, settings);
    let ended = match prepare(command, call, settings) {
        Ok((program, out)) => execute(spec, program, call, out, &secrets).await,
        Err(fault) => Ended { outcome: Outcome::Failed(fault), files: Vec::new() },
    };
    Ended { outcome: secrets.hide_in_fault(ended.outcome), files: ended.files }
}

/// Where a tool's program is: a name for PATH as it is, a path with a `/` inside the agent's folder.
pub(crate) fn locate(program: &str, folder: &Path) -> Result<PathBuf, String> {
    if !program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let inside =
        Path::new(program).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(format!("`{program}` does not lie in the agent's folder"));
    }
    let missing = |error: io::Error| format!("`{program}` is not in the agent's folder: {error}");
    let root = folder.canonicalize().map_err(missing)?;
    let path = root.join(program).canonicalize().map_err(missing)?;
    if !path.starts_with(&root) {
        return Err(format!("`{program}` is a link that leads out of the agent's folder"));
    }
    Ok(path)
}

/// What must not stand in a fault: the environment that the tool names, and the arguments declared secret.
fn secrets(spec: &ToolSpec, command: &CommandSpec, call: Call<'_>, settings: &ToolSettings) -> Secrets {
    let mut secrets = Secrets::default();
    for name in &command.env {
        if let Some(value) = (settings.env)(name) {
            secrets.add(name, value);
        }
    }
    for name in &spec.secret {
        if let Some(value) = call.args.get(name) {
            secrets.add(name, SecretString::from(plain(value)));
        }
    }
    secrets
}

/// Everything up to the start: whatever goes wrong here has no effect.
fn prepare(
    command: &CommandSpec,
    call: Call<'_>,
    settings: &ToolSettings,
) -> Result<(Command, TempDir), Fault> {
    let broken = |what: String| Fault { kind: FaultKind::ToolFailed, what };
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(broken(format!("Tool `{}` has no program: `argv` is empty.", call.name)));
    };
    let program = locate(program, call.folder).map_err(|what| {
        broken(format!(
            "{what}. Programs of an agent lie in its folder; others are found on PATH by a bare name."
        ))
    })?;
    let arguments = expand(arguments, call.args)?;
    let state = state_folder(&settings.state, call.agent)
        .map_err(|error| broken(format!("The folder for this agent's state cannot be made: {error}.")))?;
    let out = tempfile::Builder::new()
        .prefix("switchboard-out-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|error| broken(format!("A folder for the tool's files cannot be made: {error}.")))?;

    let mut prepared = Command::new(program);
    prepared.args(arguments).current_dir(call.folder).env_clear();
    for name in ["PATH", "HOME", "LANG"].into_iter().chain(command.env.iter().map(String::as_str)) {
        if let Some(value) = (settings.env)(name) {
            prepared.env(name, value.expose_secret());
        } else if name == "PATH" {
            prepared.env(name, PATH_DEFAULT);
        }
    }
    prepared
        .env("TOOL_STATE", state)
        .env("TOOL_OUT", out.path())
        .env("TOOL_KEY", call.key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    Ok((prepared, out))
}

/// Puts the call's arguments into the vector. Each element stays one element.
fn expand(templates: &[String], args: &Value) -> Result<Vec<OsString>, Fault> {
    let refused = |what: String| Fault { kind: FaultKind::BadCall, what };
    let mut expanded = Vec::with_capacity(templates.len());
    let mut options_over = false;
    for template in templates {
        let pieces = pieces(template);
        let mut element = String::new();
        for piece in &pieces {
            match piece {
                Piece::Text(text) => element.push_str(text),
                Piece::Arg(name) => element.push_str(&plain(args.get(name).unwrap_or(&Value::Null))),
                // Everybody on the machine can read the arguments of a program.
                Piece::Env(name) => {
                    let what =
                        format!("`{{env:{name}}}` has no place in `argv`; name {name} in `env` instead.");
                    return Err(Fault { kind: FaultKind::ToolFailed, what });
                }
            }
        }
        if element.contains('\0') {
            return Err(refused(format!(
                "The argument for `{template}` holds a NUL character; leave it out."
            )));
        }
        if !options_over && element.starts_with('-') && is_option_from_outside(&pieces, args) {
            return Err(refused(format!(
                "The argument for `{template}` begins with `-`, which the program would take for an option."
            )));
        }
        options_over |= template == "--";
        expanded.push(element.into());
    }
    Ok(expanded)
}

/// True when the `-` that begins an element comes from the call, and is not a number's sign.
fn is_option_from_outside(pieces: &[Piece<'_>], args: &Value) -> bool {
    match pieces {
        [Piece::Arg(name)] => !args.get(name).is_some_and(Value::is_number),
        [Piece::Arg(_), ..] => true,
        [] | [Piece::Text(_) | Piece::Env(_), ..] => false,
    }
}

/// The folder of one agent's state, absolute, made if it is not there.
fn state_folder(base: &Path, agent: &str) -> io::Result<PathBuf> {
    let mut components = Path::new(agent).components();
    let (Some(Component::Normal(name)), None) = (components.next(), components.next()) else {
        return Err(io::Error::other("the agent's name is not one of a folder"));
    };
    let folder = std::path::absolute(base)?.join(name);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    Ok(folder)
}

async fn execute(
    spec: &ToolSpec,
    mut command: Command,
    call: Call<'_>,
    out: TempDir,
    secrets: &Secrets,
) -> Ended {
    let nothing_made = |outcome| Ended { outcome, files: Vec::new() };
    let mut child = match start(&mut command).await {
        Ok(child) => child,
        Err(error) => {
            let program = command.as_std().get_program().to_string_lossy().into_owned();
            return nothing_made(failed(FaultKind::ToolFailed, not_started(&program, &error)));
        }
    };
    let group = Group::of(&child);
    let mut stdout = Head::new(spec.output_bytes_max);
    let mut stderr = Tail::default();
    let status = attend(&mut child, group, call, limit(spec), &mut stdout, &mut stderr).await;
    let words = last_lines(&secrets.hide(&stderr.text()));
    let (kind, why) = match status {
        Ok(status) if status.success() => return done(&stdout, out).await,
        Ok(status) => match status.code() {
            Some(code) => {
                let printed = last_lines(&secrets.hide(&String::from_utf8_lossy(stdout.bytes())));
                let words = if words.is_empty() { printed } else { words };
                return nothing_made(said_no(code, &words));
            }
            None => {
                let signal = status.signal().unwrap_or_default();
                (FaultKind::ToolFailed, format!("The program was killed by signal {signal}."))
            }
        },
        Err(Lost::Late) => {
            let why = format!("The program had not ended after {}, and was stopped.", spec.timeout);
            (FaultKind::ToolTimeout, why)
        }
        Err(Lost::Sight(error)) => {
            (FaultKind::ToolFailed, format!("The program's end was not seen: {error}."))
        }
    };
    let why = if words.is_empty() { why } else { format!("{why} It said:\n{words}") };
    nothing_made(uncertain(spec.repeat, kind, why))
}

/// Starts the program. A file that another thread of this process is just writing or has just written can be busy for a
/// moment, because a fork in between holds it open: nothing was started then, so it is tried again.
async fn start(command: &mut Command) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < 10 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            started => return started,
        }
    }
}

fn not_started(program: &str, error: &io::Error) -> String {
    let remedy = if error.kind() == io::ErrorKind::NotFound {
        "install it, or correct `argv`; for a script, check its first line too"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "make it executable: chmod +x"
    } else if error.kind() == io::ErrorKind::ArgumentListTooLong {
        "the arguments are too long for a program; read them from stdin"
    } else {
        "try it by hand in the agent's folder"
    };
    format!("`{program}` could not be started: {error} ({remedy}).")
}

/// Why the end of a program is not known.
enum Lost {
    /// It took too long.
    Late,
    /// The system did not tell.
    Sight(io::Error),
}

/// Feeds the program, reads what it says, waits for its end, and clears up after it.
async fn attend(
    child: &mut Child,
    group: Group,
    call: Call<'_>,
    limit: Duration,
    stdout: &mut Head,
    stderr: &mut Tail,
) -> Result<ExitStatus, Lost> {
    let input = json!({ "tool": call.name, "args": call.args, "key": call.key }).to_string();
    let stdin = child.stdin.take();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let talk = async {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input closes it; that is its right.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        tokio::join!(feed, drain(out, |chunk| stdout.take(chunk)), drain(err, |chunk| stderr.take(chunk)));
    };
    tokio::pin!(talk);
    let mut silent = false;
    let end = async {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                () = &mut talk, if !silent => silent = true,
            }
        }
    };
    let status = match tokio::time::timeout(limit, end).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(Lost::Sight(error)),
        Err(_) => Err(Lost::Late),
    };
    // The group goes at once after its leader, before the number could be given to anybody else.
    drop(group);
    if !silent {
        let _ = tokio::time::timeout(LAST_WORDS, talk).await;
    }
    status
}

/// Reads a stream to its end, so that the program never waits for a reader, and keeps what `take` keeps.
async fn drain(stream: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) {
    let Some(mut stream) = stream else { return };
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        take(&chunk[..count]);
    }
}

/// A program's process group. Dropping it kills whatever is left in it, also when the call is given up half-way.
struct Group(Option<Pid>);

impl Group {
    /// The group that the program was made the leader of.
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error says that nobody is left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn done(stdout: &Head, out: TempDir) -> Ended {
    let result = stdout.value(true);
    let collected = tokio::task::spawn_blocking(move || made::collect(out.path())).await;
    let (files, left_out) =
        collected.unwrap_or_else(|_| (Vec::new(), vec!["all files: they could not be read".into()]));
    let result =
        if left_out.is_empty() { result } else { json!({ "result": result, "files_left_out": left_out }) };
    Ended { outcome: Outcome::Done(result), files }
}

/// The program's own last words come first: they are for the reader, the number is for its author.
fn said_no(code: i32, words: &str) -> Outcome {
    let what = if words.is_empty() {
        format!("The program ended with status {code} and said nothing.")
    } else {
        format!("{words} (status {code})")
    };
    failed(FaultKind::ToolFailed, what)
}

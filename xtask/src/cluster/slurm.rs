//! Slurm on the loopback: one controller and two nodes, without munge, systemd, cgroups or a database.

use super::{Stopped, processes};
use anyhow::{Context, Result, bail, ensure};
use hw_core::CancelToken;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often it is looked whether something has happened.
pub(super) const LOOK: Duration = Duration::from_millis(200);
/// How far apart lines about progress are.
pub(super) const BETWEEN_LINES: Duration = Duration::from_secs(15);
/// The daemons answer, and a node is given up, within this.
const SOON: Duration = Duration::from_secs(90);
const NODES: [&str; 2] = ["n1", "n2"];
/// What is called of Slurm.
const PROGRAMS: [&str; 6] = [
    "slurmctld",
    "slurmd",
    "sbatch",
    "scontrol",
    "scancel",
    "sinfo",
];

/// Makes sure that Slurm is installed; as root on Debian it is installed.
pub(super) fn install() -> Result<()> {
    let missing = || PROGRAMS.iter().copied().find(|name| !is_there(name));
    let Some(name) = missing() else {
        return Ok(());
    };
    let advice = "install Debian's slurm-wlm: apt-get install slurm-wlm";
    ensure!(
        user()? == "root" && is_there("apt-get"),
        "there is no {name}; {advice}"
    );
    eprintln!("there is no {name}; installing slurm-wlm");
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
    };
    apt(&["update", "-qq"])?;
    let done = apt(&[
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        "slurm-wlm",
    ])?;
    ensure!(
        done.success() && missing().is_none(),
        "it could not be installed; {advice}"
    );
    Ok(())
}

/// Whether a program is on PATH, or where Debian has its daemons.
fn is_there(name: &str) -> bool {
    program(name).is_some()
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn user() -> Result<String> {
    let output = Command::new("id")
        .arg("-un")
        .output()
        .context("cannot run id")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// A running cluster; it ends, with all its processes, when it is dropped.
pub(super) struct Cluster {
    folder: PathBuf,
    conf: PathBuf,
    controller: Child,
    nodes: Vec<(&'static str, Child)>,
}

impl Cluster {
    /// Starts the daemons under `folder` and waits until both nodes are idle.
    pub(super) fn start(folder: &Path, cancel: &CancelToken) -> Result<Self> {
        let folder = folder.to_path_buf();
        hw_core::files::create_folder(&folder.join("state"))?;
        let conf = folder.join("slurm.conf");
        hw_core::files::write_whole(&conf, configuration(&folder)?.as_bytes())?;
        let controller = daemon(&conf, "slurmctld", &[], &folder.join("slurmctld.out"))?;
        let mut cluster = Self {
            folder,
            conf,
            controller,
            nodes: Vec::new(),
        };
        for node in NODES {
            cluster.start_daemon(node)?;
        }
        for node in NODES {
            cluster.wait_for_node(node, "is idle", |state| state == "idle", cancel)?;
        }
        Ok(cluster)
    }

    /// Starts a node's daemon.
    pub(super) fn start_daemon(&mut self, node: &'static str) -> Result<()> {
        let log = self.folder.join(format!("slurmd-{node}.out"));
        let child = daemon(&self.conf, "slurmd", &["-N", node], &log)?;
        self.nodes.push((node, child));
        Ok(())
    }

    /// Kills a node's daemon, not what it has started.
    pub(super) fn kill_daemon(&mut self, node: &str) -> Result<()> {
        let place = self.nodes.iter().position(|(name, _)| *name == node);
        let (_, mut child) = self.nodes.remove(place.context("no such node")?);
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Makes a command one of this cluster.
    pub(super) fn at_home(&self, command: &mut Command) {
        command.env("SLURM_CONF", &self.conf);
    }

    /// What one of Slurm's programs prints.
    fn ask(&self, name: &str, arguments: &[&str]) -> Result<std::process::Output> {
        let file = program(name).with_context(|| format!("there is no {name}"))?;
        let mut command = Command::new(file);
        self.at_home(&mut command);
        command
            .args(arguments)
            .output()
            .with_context(|| format!("cannot run {name}"))
    }

    pub(super) fn version(&self) -> Result<String> {
        let output = self.ask("sinfo", &["--version"])?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_string();
        Ok(format!("{version}, nodes {}", NODES.join(" and ")))
    }

    /// Waits until a node's state is as wanted.
    pub(super) fn wait_for_node(
        &self,
        node: &str,
        what: &str,
        wanted: impl Fn(&str) -> bool,
        cancel: &CancelToken,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            let output = self.ask("sinfo", &["-h", "-N", "-n", node, "-o", "%T"])?;
            let state = String::from_utf8_lossy(&output.stdout).trim().to_string();
            if wanted(&state) {
                return Ok(());
            }
            if cancel.is_cancelled() {
                bail!(Stopped);
            }
            if started.elapsed() > SOON {
                eprintln!("{}", self.daemons_last_words());
                bail!("node {node} is not yet what was waited for ({what}): it is {state:?}");
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The worker at work on a node.
    pub(super) fn worker_on(&self, node: &str) -> Result<Option<u32>> {
        let processes = processes::of_cluster(&self.conf);
        let worker = processes.into_iter().find(|process| {
            process.has("SLURMD_NODENAME", node)
                && process.has_word("--worker")
                && process.has_word("reproduce")
        });
        Ok(worker.map(|worker| worker.id))
    }

    /// Whether nothing of a job waits or runs.
    pub(super) fn is_over(&self, job: &str) -> Result<bool> {
        let output = self.ask("squeue", &["-h", "-j", job, "-o", "%T"])?;
        let said = String::from_utf8_lossy(&output.stdout);
        // A controller that does not answer says nothing about the job.
        let unknown = String::from_utf8_lossy(&output.stderr).contains("Invalid job id");
        Ok((output.status.success() || unknown) && said.trim().is_empty())
    }

    /// Fails unless each element of a job ended with exit code 0.
    pub(super) fn ended_well(&self, job: &str) -> Result<()> {
        let output = self.ask("scontrol", &["show", "job", job])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let states = said
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("JobState="));
        let states: Vec<&str> = states.collect();
        let well = states.len() == NODES.len() && states.iter().all(|state| *state == "COMPLETED");
        ensure!(
            well,
            "the workers of job {job} ended as {}",
            states.join(", ")
        );
        Ok(())
    }

    pub(super) fn cancel_job(&self, job: &str) -> Result<()> {
        self.ask("scancel", &[job])?;
        Ok(())
    }

    /// The ends of all logs.
    pub(super) fn last_words(&self, out: &Path) -> String {
        let mut text = self.daemons_last_words();
        let logs = std::fs::read_dir(out.join("slurm")).into_iter().flatten();
        for log in logs.flatten().map(|entry| entry.path()) {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            text.push_str(&format!("{}:\n{}\n", log.display(), last_lines(&said)));
        }
        text
    }

    fn daemons_last_words(&self) -> String {
        let names = ["slurmctld.out", "slurmd-n1.out", "slurmd-n2.out"];
        let logs = names.map(|name| {
            let said = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
            format!("{name}:\n{}\n", last_lines(&said))
        });
        logs.concat()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().map(|(_, child)| child) {
            // One that has ended already cannot be killed; that is what is wanted.
            let _ = child.kill().and_then(|()| child.wait());
        }
        let _ = self.controller.kill().and_then(|()| self.controller.wait());
        // Jobs outlive their daemon.
        for process in processes::of_cluster(&self.conf) {
            let _ = processes::kill(process.id);
        }
    }
}

/// Whether a node is one that Slurm has given up.
pub(super) fn is_down(state: &str) -> bool {
    state.starts_with("down")
}

/// Whether a node takes jobs.
pub(super) fn is_up(state: &str) -> bool {
    ["idle", "allocated", "mixed", "completing"].contains(&state)
}

/// The last lines of a log.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn daemon(conf: &Path, name: &str, arguments: &[&str], log: &Path) -> Result<Child> {
    let file = program(name).with_context(|| format!("there is no {name}"))?;
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)?;
    let child = Command::new(file)
        .args(["-D", "-f"])
        .arg(conf)
        .args(arguments)
        .env("SLURM_CONF", conf)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn();
    child.with_context(|| format!("cannot start {name}"))
}

/// The cluster's configuration, on ports that are free now.
fn configuration(folder: &Path) -> Result<String> {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = Vec::new();
    for listener in held {
        ports.push(listener.context("no free port")?.local_addr()?.port());
    }
    let (folder, user) = (folder.display(), user()?);
    let mut text = format!(
        "ClusterName=hw\n\
         SlurmctldHost=localhost(127.0.0.1)\n\
         SlurmctldPort={}\n\
         SlurmUser={user}\n\
         SlurmdUser={user}\n\
         AuthType=auth/none\n\
         CredType=cred/none\n\
         StateSaveLocation={folder}/state\n\
         SlurmdSpoolDir={folder}/spool-%n\n\
         SlurmctldPidFile={folder}/slurmctld.pid\n\
         SlurmdPidFile={folder}/slurmd-%n.pid\n\
         ProctrackType=proctrack/linuxproc\n\
         TaskPlugin=task/none\n\
         SwitchType=switch/none\n\
         MpiDefault=none\n\
         SelectType=select/linear\n\
         JobAcctGatherType=jobacct_gather/none\n\
         AccountingStorageType=accounting_storage/none\n\
         ReturnToService=2\n\
         SlurmdTimeout=10\n\
         SlurmctldTimeout=10\n\
         KillWait=30\n",
        ports[0]
    );
    for (node, port) in NODES.iter().zip(&ports[1..]) {
        text.push_str(&format!(
            "NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=1\n"
        ));
    }
    text.push_str("PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP\n");
    Ok(text)
}

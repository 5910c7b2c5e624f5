//! The job's script and its submission, with programs of a few lines in place of Slurm's and of the worker.

use super::*;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

/// A folder with a space and a percent sign in its name, and programs of a test's own.
struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's 100% mine");
        fs::create_dir(&path).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, format!("#!/bin/bash\ncd {:?}\n{text}\n", self.path)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }

    /// Workers whose program is `worker`.
    fn again(&self, worker: &Path) -> CommandLine {
        let words = [
            worker.as_os_str(),
            OsStr::new("reproduce"),
            OsStr::new("a b"),
        ];
        let words = words.map(OsStr::to_os_string);
        CommandLine::new(words, "papers", &self.path.join("out"), None).unwrap()
    }

    fn submit(&self, sbatch: &str, more: &[&str]) -> Result<Submitted, ReproError> {
        let sbatch = self.program("sbatch", sbatch);
        let more: Vec<String> = more.iter().map(|word| word.to_string()).collect();
        let again = self.again(Path::new("/bin/hw"));
        submit(&again, 3, &more, sbatch.to_str().unwrap())
    }

    /// Starts the job's script with `worker` (bash) and a scontrol that ends with `scontrol`; comes back when the
    /// worker says that it is there.
    fn job(&self, worker: &str, scontrol: &str) -> Job {
        let worker = self.program("worker", worker);
        self.program("scontrol", &format!("echo \"$@\" >>requeued; {scontrol}"));
        let script = self.path.join("job.sh");
        fs::write(&script, super::script(&self.again(&worker)).unwrap()).unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut child = Command::new("bash")
            .arg(&script)
            .env("PATH", format!("{}:{path}", self.path.display()))
            .envs([("SLURM_ARRAY_JOB_ID", "7"), ("SLURM_ARRAY_TASK_ID", "2")])
            .env("SLURM_CPUS_ON_NODE", "5")
            .env_remove("RAYON_NUM_THREADS")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("here") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "no worker");
        }
        Job { child, said }
    }
}

struct Job {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Job {
    fn signal(&self, signal: &str) {
        let kill = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// The exit code, and what was said to the end.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.said, &mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

/// A worker that goes on until TERM and then saves and ends with 130, as `hw` does.
const PATIENT: &str =
    "trap 'echo saved >>saved; exit 130' TERM; echo here\nwhile :; do sleep 0.01; done";

#[test]
fn one_array_is_submitted_with_the_users_options_last_and_its_number_is_told() {
    let place = Place::new();
    let sbatch = "for word in \"$@\"; do echo \"$word\"; done >arguments; cp \"${@: -1}\" submitted; echo '42;east'";
    let submitted = place
        .submit(sbatch, &["--partition=long", "--comment=two words"])
        .unwrap();
    let out = place.path.join("out");
    let log = format!(
        "--output={}/slurm/%A_%a.log",
        out.display().to_string().replace('%', "%%")
    );
    let script = out.join("slurm/job.sh");
    let expected = [
        "--parsable",
        "--array=1-3",
        "--job-name=papers",
        &log,
        "--partition=long",
        "--comment=two words",
        script.to_str().unwrap(),
    ];
    assert_eq!(
        place.read("arguments").lines().collect::<Vec<_>>(),
        expected
    );
    assert_eq!(
        place.read("submitted"),
        fs::read_to_string(&script).unwrap()
    );
    let again = place.again(Path::new("/bin/hw"));
    let advice = submitted.advice(&again);
    for part in [
        "job 42: 3 workers",
        "scancel 42",
        "squeue --jobs 42",
        "--report-only",
        "--status",
    ] {
        assert!(advice.contains(part), "{advice}");
    }
    assert_eq!(submitted.json(&again)["job"], "42");
}

#[test]
fn what_keeps_a_job_from_being_submitted_is_one_line() {
    let place = Place::new();
    let refused = "echo 'sbatch: error: invalid partition specified: nosuch' >&2\n\
                   echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2; exit 1";
    let error = place.submit(refused, &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        "--engine slurm: sbatch refused the job: invalid partition specified: nosuch; Batch job submission failed: \
         Invalid partition name specified"
    );
    let silent = place.submit("exit 3", &[]).unwrap_err().to_string();
    assert!(silent.contains("exit status: 3"), "{silent}");
    let again = place.again(Path::new("/bin/hw"));
    let error = submit(&again, 1, &[], "no-such-sbatch").unwrap_err();
    assert!(
        error.to_string().contains("no no-such-sbatch on PATH"),
        "{error}"
    );
    // A file where the folder should be.
    fs::write(place.path.join("file"), "").unwrap();
    let again = CommandLine::new(["hw".into()], "n", &place.path.join("file/out"), None).unwrap();
    let error = submit(&again, 1, &[], "sbatch").unwrap_err().to_string();
    assert!(
        error.starts_with("--out ") && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn the_script_passes_on_the_workers_arguments_and_exit_code() {
    for code in [0, 1, 137] {
        let place = Place::new();
        let worker = format!("echo \"$@\" $RAYON_NUM_THREADS >got; echo here; exit {code}");
        let (ended, said) = place.job(&worker, "true").end();
        assert_eq!(ended, Some(code), "{said}");
        let out = place.path.join("out");
        let expected = format!("reproduce a b --worker --out {} 5\n", out.display());
        assert_eq!(place.read("got"), expected);
        assert_eq!(place.read("requeued"), "");
    }
}

#[test]
fn before_the_time_limit_the_worker_saves_and_the_element_is_queued_again() {
    let place = Place::new();
    let job = place.job(PATIENT, "true");
    job.signal("-USR1");
    let (code, said) = job.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.read("saved"), "saved\n");
    assert_eq!(place.read("requeued"), "requeue 7_2\n");
    assert!(
        said.contains("job 7_2") && said.contains("queueing again"),
        "{said}"
    );
}

#[test]
fn an_element_that_cannot_be_queued_again_says_so_and_ends_as_stopped() {
    let place = Place::new();
    let job = place.job(PATIENT, "false");
    job.signal("-USR1");
    let (code, said) = job.end();
    assert_eq!(code, Some(130));
    assert!(said.contains("cannot be queued again"), "{said}");
}

#[test]
fn a_worker_that_was_just_done_is_not_queued_again() {
    let place = Place::new();
    let job = place.job(
        "trap 'exit 0' TERM; echo here\nwhile :; do sleep 0.01; done",
        "true",
    );
    job.signal("-USR1");
    assert_eq!(job.end().0, Some(0));
    assert_eq!(place.read("requeued"), "");
}

#[test]
fn a_cancelled_job_saves_and_ends_even_if_its_time_was_up_already() {
    for before in [&[][..], &["-USR1"]] {
        let place = Place::new();
        // It takes its time to end, so that both signals reach the script first.
        let worker = "trap 'touch asked' TERM; echo here\n\
                      until [ -e cancelled ] && [ -e asked ]; do sleep 0.01; done; echo saved >>saved; exit 130";
        let job = place.job(worker, "true");
        for signal in before {
            job.signal(signal);
        }
        job.signal("-TERM");
        while !place.path.join("asked").exists() {
            std::thread::yield_now();
        }
        fs::write(place.path.join("cancelled"), "").unwrap();
        let (code, said) = job.end();
        assert_eq!(code, Some(130), "{said}");
        assert_eq!(place.read("saved"), "saved\n");
        assert_eq!(place.read("requeued"), "", "{said}");
    }
}
